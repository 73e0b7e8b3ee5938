//! The key file: a regular file that only its owner reads, not reached through a link.
//!
//! All checks are made on the opened file, so that nobody exchanges it in between.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::text::{self, LIMIT};
use super::{KeyProblem, RootKey};

/// Makes a key and its file, durable when this returns.
pub(super) fn create(path: &Path) -> Result<RootKey, KeyProblem> {
    let key = RootKey::random();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
        |error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyProblem::Exists,
            _ => KeyProblem::Unreadable(error.to_string()),
        },
    )?;
    let written = file
        .write_all(text::write(&key).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder_of(path));
    if let Err(error) = written {
        // The file is ours and useless; that it couldn't be written is what the caller must hear.
        let _ = std::fs::remove_file(path);
        return Err(KeyProblem::Unreadable(error.to_string()));
    }
    Ok(key)
}

/// Reads the key file, if nobody else can.
pub(super) fn read(path: &Path) -> Result<RootKey, KeyProblem> {
    let (file, metadata) = open(path, OFlags::NOFOLLOW)?;
    let me = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != me && owner != 0 {
        return Err(KeyProblem::Owner { path: path.to_owned(), owner, me });
    }
    let mode = metadata.mode() & 0o7777;
    if !matches!(mode, 0o600 | 0o400) {
        return Err(KeyProblem::Mode { path: path.to_owned(), mode });
    }
    text::parse(&contents(file)?)
}

/// Opens what must be a regular file; a pipe without a writer doesn't hold it up.
pub(super) fn open(path: &Path, flags: OFlags) -> Result<(File, std::fs::Metadata), KeyProblem> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | flags;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => KeyProblem::Absent,
        Errno::LOOP => KeyProblem::Symlink,
        Errno::NXIO => KeyProblem::NotAFile,
        errno => KeyProblem::Unreadable(io::Error::from(errno).to_string()),
    })?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(|error| KeyProblem::Unreadable(error.to_string()))?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(KeyProblem::NotAFile),
    }
}

/// The bytes of a small file; of a large one enough to see that it is no key.
pub(super) fn contents(file: File) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    // Room for all of it, so that no shorter copy stays behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LIMIT));
    let limit = u64::try_from(LIMIT).expect("a few hundred");
    file.take(limit).read_to_end(&mut bytes).map_err(|error| KeyProblem::Unreadable(error.to_string()))?;
    Ok(bytes)
}

/// Whether a file is in a folder or below it.
pub(crate) fn is_inside(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_new_key_file_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let made = create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(read(&path).unwrap().expose(), made.expose());
        assert_eq!(create(&path).err(), Some(KeyProblem::Exists));
        assert_eq!(read(&path).unwrap().expose(), made.expose(), "the old key is still there");
    }

    #[test]
    fn only_a_mode_that_keeps_others_out_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        create(&path).unwrap();
        for (mode, ok) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o660, false),
            (0o644, false),
            (0o700, false),
            (0o4600, false),
            (0o777, false),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let problem = read(&path).err();
            let expected = KeyProblem::Mode { path: path.clone(), mode };
            assert_eq!(problem, (!ok).then_some(expected), "{mode:o}");
        }
    }

    #[test]
    fn only_a_regular_file_at_the_path_itself_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        create(&at("root.key")).unwrap();
        symlink(at("root.key"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg("-m600").arg(at("pipe")).status();
        assert!(pipe.is_ok_and(|status| status.success()));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, problem) in [
            ("nothing", KeyProblem::Absent),
            ("root.key/below", KeyProblem::Absent),
            ("link", KeyProblem::Symlink),
            ("dangling", KeyProblem::Symlink),
            ("folder", KeyProblem::NotAFile),
            ("pipe", KeyProblem::NotAFile),
            ("socket", KeyProblem::NotAFile),
        ] {
            assert_eq!(read(&at(name)).err(), Some(problem), "{name}");
        }
        assert_eq!(read(Path::new("/dev/null")).err(), Some(KeyProblem::NotAFile));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        create(&path).unwrap();
        let me = rustix::process::geteuid().as_raw();
        // Only root can give a file away; anybody else reads this file of root's, or can't.
        if std::os::unix::fs::chown(&path, Some(me + 1), None).is_ok() {
            let problem = KeyProblem::Owner { path: path.clone(), owner: me + 1, me };
            assert!(problem.to_string().contains("chown"));
            assert_eq!(read(&path).err(), Some(problem));
        }
    }

    #[test]
    fn a_large_file_is_refused_without_reading_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        fs::write(&path, format!("esk1_{}", "A".repeat(1 << 20))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).err(), Some(KeyProblem::Length(LIMIT)));
    }
}
