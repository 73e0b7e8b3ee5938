//! Serves a listener on AWS Lambda.
