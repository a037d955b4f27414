//! The program that this process is, to be started once more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{env, io};

/// What Linux puts behind the path of a program whose file was replaced.
const REPLACED: &[u8] = b" (deleted)";

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it was started with, without its own name.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// The one that runs. To be asked when it has just started: whoever replaces it may do that by
    /// turning a symbolic link, and which one it was started through cannot be found out then.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn own() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let running = in_place(env::current_exe()?);
        let path = as_started(&name, &running).unwrap_or(running);
        Ok(Self { path, arguments: arguments.collect() })
    }
}

/// Where the program is, or where another one is now.
fn in_place(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(REPLACED) {
        Some(path) => PathBuf::from(OsString::from_vec(path.to_vec())),
        None => path,
    }
}

/// The path that it was started with, if that led to what runs.
fn as_started(name: &OsStr, running: &Path) -> Option<PathBuf> {
    if !name.as_bytes().contains(&b'/') {
        return None;
    }
    let path = std::path::absolute(name).ok()?;
    (path.canonicalize().ok()? == running).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_is_found_by_its_name() {
        for (told, expected) in [
            ("/usr/bin/rhumb", "/usr/bin/rhumb"),
            ("/usr/bin/rhumb (deleted)", "/usr/bin/rhumb"),
            ("/a (deleted)/rhumb", "/a (deleted)/rhumb"),
        ] {
            assert_eq!(in_place(told.into()), Path::new(expected));
        }
    }

    #[test]
    fn the_link_that_it_was_started_through_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (file, link) = (dir.join("rhumb-1"), dir.join("rhumb"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(as_started(link.as_os_str(), &file), Some(link.clone()));
        assert_eq!(as_started(OsStr::new("rhumb"), &file), None);
        assert_eq!(as_started(link.as_os_str(), Path::new("/bin/sh")), None);
    }
}
