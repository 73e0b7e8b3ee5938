//! Values and files at their limits, readers that go away, and where things are kept.

use std::io::Read;
use std::process::Stdio;

use crate::process::{Said, World};

#[test]
fn a_value_of_64_kib_fits_and_any_bytes_are_a_value() {
    let world = World::ready();
    for (value, exit) in [
        (vec![b'a'; 65_536], 0),
        ([vec![b'a'; 65_536], b"\n".to_vec()].concat(), 0),
        ([vec![b'a'; 65_536], b"\r\n".to_vec()].concat(), 0),
        (vec![b'a'; 65_537], 5),
        ([vec![b'a'; 65_536], b"\n\n".to_vec()].concat(), 5),
        (vec![b'a'; 1_000_000], 5),
        (vec![0xFF, 0x00, 0xFE, 0x0A, 0x80, 1, 2, 3], 0),
    ] {
        let said = world.run_words(&["secrets", "set", "T", "--env", "dev"], &value);
        assert_eq!(said.exit, exit, "{} bytes: {said:?}", value.len());
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let world = World::ready();
    for line in [
        &["audit", "tail"][..],
        &["completions", "bash"],
        &["--help"],
        &["secrets", "export", "--env", "dev"],
    ] {
        let mut command = world.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{line:?}");
    }
}

#[test]
fn tail_follows_until_its_reader_goes_away() {
    let world = World::ready();
    let mut command = world.command(&["--json", "audit", "tail", "-n", "1", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    assert!(read_line(&mut out).contains("space.create"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap_or_default();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(cores.is_none_or(|line| line.split_whitespace().skip(4).take(2).eq(["0", "0"])), "{cores:?}");
    world.ok_with("secrets set T --env dev", "0123456789");
    assert!(read_line(&mut out).contains("secret.set"));
    drop(out);
    world.ok("secrets disable T --env dev");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn read_line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn a_large_import_is_planned_and_written() {
    let world = World::ready();
    let lines: String = (0..3_000).map(|n| format!("NAME_{n}=value-number-{n}\n")).collect();
    world.file("large.env", &lines);
    let done = world.json("secrets import large.env --env dev --yes");
    assert_eq!((done["written"].as_u64(), done["counts"]["add"].as_u64()), (Some(3_000), Some(3_000)));
    assert_eq!(world.json("doctor")["records"], 3_000);
}

#[test]
fn the_home_is_found_by_the_environment() {
    let world = World::empty();
    let dir = world.path();
    for (variables, home) in [
        (vec![("UNDERTONE_HOME", dir.join("a"))], Some("a")),
        (vec![("XDG_DATA_HOME", dir.join("b"))], Some("b/undertone")),
        (vec![("XDG_DATA_HOME", "b".into()), ("HOME", dir.join("c"))], Some("c/.local/share/undertone")),
        (vec![("UNDERTONE_HOME", "".into()), ("HOME", dir.join("d"))], Some("d/.local/share/undertone")),
        (vec![], None),
    ] {
        let mut command = world.command(&["--json", "env", "list"]);
        command.env_remove("HOME").envs(variables.iter().cloned());
        let said = Said::from(command.output().unwrap());
        match home {
            Some(home) => {
                let place = format!("{}: ", dir.join(home).display());
                assert_eq!((said.exit, said.code().as_str()), (3, "no_home"), "{variables:?}");
                assert!(said.err.contains(&place), "{said:?}");
            }
            None => assert_eq!((said.exit, said.code().as_str()), (2, "no_directory"), "{said:?}"),
        }
    }
}

#[test]
fn what_init_makes_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::ready();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.key()), 0o600);
    assert_eq!(mode(world.key().parent().unwrap()), 0o700);
    assert_eq!(mode(&world.home()), 0o700);
}
