//! Where secrets are kept: in a home on this machine, or on AWS.

use clap::{Args, ValueEnum};

/// Options of AWS. Each beats what `undertone.toml` says.
#[derive(Args, Default)]
pub(crate) struct PlaceArgs {
    /// Which store [default: as the home's undertone.toml says, else embedded]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "STORE",
        env = "UNDERTONE_STORE",
        hide_env_values = true,
        help_heading = "AWS options"
    )]
    pub store: Option<StoreArg>,
    /// The region [default: as AWS's own programs find it]
    #[arg(long, global = true, value_name = "REGION", help_heading = "AWS options")]
    pub region: Option<String>,
    /// The profile of AWS's own settings
    #[arg(long, global = true, value_name = "NAME", help_heading = "AWS options")]
    pub aws_profile: Option<String>,
    /// The DynamoDB table of rows [default: undertone-rows]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "UNDERTONE_TABLE",
        hide_env_values = true,
        help_heading = "AWS options"
    )]
    pub table: Option<String>,
    /// What the names of secrets begin with in Secrets Manager [default: undertone]
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        env = "UNDERTONE_PREFIX",
        hide_env_values = true,
        help_heading = "AWS options"
    )]
    pub prefix: Option<String>,
    /// The KMS key: its ARN, id or alias
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "UNDERTONE_KMS_KEY",
        hide_env_values = true,
        help_heading = "AWS options"
    )]
    pub kms_key: Option<String>,
    /// The DynamoDB table of the audit log [default: undertone-audit]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "UNDERTONE_AUDIT_TABLE",
        hide_env_values = true,
        help_heading = "AWS options"
    )]
    pub audit_table: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreArg {
    /// The home's own database
    Embedded,
    /// DynamoDB, as most installations on AWS want it
    Aws,
    /// DynamoDB
    Dynamodb,
    /// Secrets Manager: for few Spaces that change rarely
    SecretsManager,
}

impl PlaceArgs {
    /// The same as variables, for a program that is started.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let store = self.store.map(|store| match store {
            StoreArg::Embedded => "embedded".to_owned(),
            StoreArg::Aws | StoreArg::Dynamodb => "dynamodb".to_owned(),
            StoreArg::SecretsManager => "secrets-manager".to_owned(),
        });
        let given = [
            ("UNDERTONE_STORE", &store),
            ("AWS_REGION", &self.region),
            ("AWS_PROFILE", &self.aws_profile),
            ("UNDERTONE_TABLE", &self.table),
            ("UNDERTONE_PREFIX", &self.prefix),
            ("UNDERTONE_KMS_KEY", &self.kms_key),
            ("UNDERTONE_AUDIT_TABLE", &self.audit_table),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}
