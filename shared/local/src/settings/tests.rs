use super::*;

fn parse(text: &str) -> Result<Settings, (usize, String)> {
    Settings::parse(Path::new("/home/undertone.toml"), text).map_err(|error| match error {
        LocalError::Settings { line, problem, .. } => (line, problem),
        other => panic!("{other}"),
    })
}

#[test]
fn what_init_writes_reads_back() {
    for key in [
        KeySource::File { path: PathBuf::from("/a \"b\"\\c\n\u{7f}ä/root.key") },
        KeySource::Passphrase { salt: [7; 16], params: Argon2Params::default() },
        KeySource::Credential { name: "undertone.key".to_owned() },
    ] {
        let text = key.to_toml();
        let store = StoreSettings::Embedded { key };
        assert_eq!(parse(&text), Ok(Settings { store, agents: BTreeMap::new() }));
    }
}

fn aws() -> AwsSettings {
    AwsSettings {
        kind: AwsKind::DynamoDb,
        region: None,
        profile: None,
        table: "undertone".to_owned(),
        prefix: "undertone".to_owned(),
        kms_key: "alias/undertone".to_owned(),
        audit_table: "undertone-audit".to_owned(),
    }
}

#[test]
fn what_is_written_for_aws_reads_back() {
    let arn = "arn:aws:kms:eu-central-1:123456789012:key/0123abcd-0000-1111-2222-333344445555";
    for settings in [
        aws(),
        AwsSettings { kind: AwsKind::SecretsManager, ..aws() },
        AwsSettings { region: Some("eu-central-1".to_owned()), profile: Some("my work".to_owned()), ..aws() },
        AwsSettings { profile: Some("a \"b\"\\c ä".to_owned()), kms_key: arn.to_owned(), ..aws() },
        AwsSettings { table: "a.b".to_owned(), prefix: "a/b+c=d@e".to_owned(), ..aws() },
        AwsSettings { audit_table: "x".repeat(255), ..aws() },
    ] {
        let store = StoreSettings::Aws(settings.clone());
        assert_eq!(parse(&settings.to_toml()), Ok(Settings { store, agents: BTreeMap::new() }));
    }
}

#[test]
fn what_is_left_out_for_aws_is_what_it_usually_is() {
    let least = "[store]\nprovider = 'aws'\nkind = 'dynamodb'\nkms_key = 'alias/undertone'\n";
    let store = StoreSettings::Aws(aws());
    assert_eq!(parse(least), Ok(Settings { store: store.clone(), agents: BTreeMap::new() }));
    let agents = BTreeMap::from([("x".parse().unwrap(), vec![Scope::Environment("dev".parse().unwrap())])]);
    let granted = format!("{least}[agents.x]\nscopes = ['dev']\n");
    assert_eq!(parse(&granted), Ok(Settings { store, agents }));
}

#[test]
fn anything_else_for_aws_is_an_error_with_its_line() {
    let least = "[store]\nprovider = 'aws'\nkind = 'dynamodb'\nkms_key = 'k'\n";
    for (text, line, part) in [
        ("store = 'aws'\n".to_owned(), 1, "must be a table"),
        ("[store]\n".to_owned(), 1, "`provider` is missing"),
        ("[store]\nprovider = 'embedded'\n".to_owned(), 2, "must be \"aws\""),
        ("[store]\nprovider = 'aws'\n".to_owned(), 1, "`kind` is missing"),
        ("[store]\nprovider = 'aws'\nkind = 's3'\n".to_owned(), 3, "\"secrets-manager\""),
        ("[store]\nprovider = 'aws'\nkind = 'dynamodb'\n".to_owned(), 1, "`kms_key` is missing"),
        (least.replace("'k'", "''"), 4, "`kms_key` must be"),
        (least.replace("'k'", "'a b'"), 4, "`kms_key` must be"),
        (least.replace("'k'", &format!("'{}'", "x".repeat(2_049))), 4, "`kms_key` must be"),
        (format!("{least}region = ''\n"), 5, "`region` must be"),
        (format!("{least}region = 'Frankfurt'\n"), 5, "`region` must be"),
        (format!("{least}region = 7\n"), 5, "text in quotes"),
        (format!("{least}profile = ''\n"), 5, "`profile` must be"),
        (format!("{least}profile = \"a\\nb\"\n"), 5, "`profile` must be"),
        (format!("{least}profile = \"a\\u200bb\"\n"), 5, "`profile` must be"),
        (format!("{least}table = 'ab'\n"), 5, "`table` must be"),
        (format!("{least}table = 'a/b/c'\n"), 5, "`table` must be"),
        (format!("{least}prefix = 'a b'\n"), 5, "`prefix` must be"),
        (format!("{least}prefix = '{}'\n", "x".repeat(129)), 5, "`prefix` must be"),
        (format!("{least}audit_table = '{}'\n", "x".repeat(256)), 5, "`audit_table` must be"),
        (format!("{least}kms-key = 'k'\n"), 5, "no field `kms-key`"),
        (format!("{least}endpoint = 'http://localhost'\n"), 5, "no field `endpoint`"),
        (format!("{least}[key]\nprovider = 'file'\npath = 'k'\n"), 5, "remove [key]"),
        (format!("{least}[agents.x]\n"), 5, "`scopes` is missing"),
    ] {
        let (at, problem) = parse(&text).unwrap_err();
        assert_eq!(at, line, "{text}: {problem}");
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn agents_get_environments_and_spaces() {
    let text = "key = { provider = 'file', path = 'k' }\n[agents.slack-notifier]\nscopes = ['dev', 'dev/sp_2']\n[agents.\"a.b\"]\nscopes = []";
    let dev: undertone_core::EnvironmentId = "dev".parse().unwrap();
    let scopes = vec![Scope::Environment(dev.clone()), Scope::Space(dev, "sp_2".parse().unwrap())];
    let expected =
        BTreeMap::from([("slack-notifier".parse().unwrap(), scopes), ("a.b".parse().unwrap(), Vec::new())]);
    assert_eq!(parse(text).map(|settings| settings.agents), Ok(expected));
}

#[test]
fn anything_else_is_an_error_with_its_line() {
    let file = "[key]\nprovider = 'file'\npath = 'k'\n";
    for (text, line, part) in [
        (String::new(), 1, "no [key]"),
        ("[key]\n".to_owned(), 1, "`provider` is missing"),
        ("[key]\nprovider = 'kms'\n".to_owned(), 2, "must be \"file\""),
        ("[key]\nprovider = 'file'\n".to_owned(), 1, "`path` is missing"),
        ("[key]\nprovider = 'file'\npath = ''\n".to_owned(), 3, "empty"),
        ("[key]\nprovider = 'file'\npath = 7\n".to_owned(), 3, "text in quotes"),
        (format!("{file}paht = 'x'\n"), 4, "no field `paht`"),
        (format!("{file}[agent.x]\n"), 4, "no field `agent`"),
        (format!("{file}[agents.x]\nscope = ['dev']\n"), 5, "no field `scope`"),
        (format!("{file}[agents.x]\n"), 4, "`scopes` is missing"),
        (format!("{file}[agents.'x y']\nscopes = []\n"), 4, "slug"),
        (format!("{file}[agents.x]\nscopes = ['dev', 'dev/']\n"), 5, "a scope is"),
        (format!("{file}[agents.x]\nscopes = 'dev'\n"), 5, "must be a list"),
        (format!("{file}[agents.x]\nscopes = [\n'a',\n'b c']\n"), 7, "a scope is"),
        (format!("{file}hunter2 hunter2\n"), 4, "no TOML"),
        ("[key]\nprovider = 'credential'\nname = '../x'\n".to_owned(), 3, "credential"),
        ("[key]\nprovider = 'passphrase'\nsalt = 'AA'\n".to_owned(), 3, "salt"),
    ] {
        let (at, problem) = parse(&text).unwrap_err();
        assert_eq!(at, line, "{text}: {problem}");
        assert!(problem.contains(part), "{text}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn a_lowered_cost_is_refused() {
    let written = KeySource::Passphrase { salt: [7; 16], params: Argon2Params::FLOOR }.to_toml();
    for (from, to) in [
        ("memory_kib = 65536", "memory_kib = 65535"),
        ("memory_kib = 65536", "memory_kib = 4294967296"),
        ("memory_kib = 65536", "memory_kib = -1"),
        ("memory_kib = 65536", "memory_kib = 1048577"),
        ("passes = 3", "passes = 2"),
        ("passes = 3", "passes = 3.0"),
        ("lanes = 1", "lanes = 0"),
        ("lanes = 1\n", ""),
    ] {
        assert!(parse(&written.replace(from, to)).is_err(), "{to}");
    }
    assert!(parse(&written).is_ok());
}
