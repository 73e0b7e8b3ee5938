//! The transcripts in `tests/golden`, one test each.

use std::path::Path;

use crate::transcript::check;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(&golden().join(concat!(stringify!($name), ".txt")));
            }
        )*

        #[test]
        fn no_transcript_is_forgotten() {
            let known = [$(stringify!($name)),*];
            for file in std::fs::read_dir(golden()).unwrap() {
                let name = file.unwrap().path();
                let name = name.file_stem().unwrap().to_str().unwrap();
                assert!(known.contains(&name), "{name}");
            }
        }
    };
}

transcripts! {
    arguments
    audit
    confirmations
    deploy
    doctor
    export
    external
    hostile
    import
    import_errors
    import_spaces
    json
    set
    start
    stores
    verbs
}

fn golden() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}
