//! Says which files have changed, whichever way they were changed: written in place, renamed
//! over, or swapped by a symbolic link above them as Kubernetes does with mounted volumes.
//!
//! It polls, because a notification belongs to one inode and is lost with it. It has no timer and
//! no thread: whoever owns it calls [`FileWatch::poll`] now and then. It does not read files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A set of files that is polled for changes.
///
/// Make it *before* reading the files for the first time; otherwise a change in between is lost.
#[derive(Clone, Debug, Default)]
pub struct FileWatch {
    files: Vec<Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    path: PathBuf,
    /// As it was when its last change was reported.
    reported: Signature,
    /// As it was at the last poll.
    seen: Signature,
}

/// What tells one state of a file from another; `None` where there is no file.
type Signature = Option<Identity>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// The path with all symbolic links followed.
    resolved: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change of the content, and of the inode: the first can
    /// be set back by whoever copies a file, the second cannot.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileWatch {
    /// Watches these files; their present state counts as known.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watch = Self::default();
        watch.set_paths(paths);
        watch
    }

    /// Watches these files from now on. Those that were watched before keep what is known of them.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        for path in paths {
            if self.files.iter().any(|file| file.path == path) {
                continue;
            }
            let known = before.iter().position(|file| file.path == path);
            let watched = known.map(|index| before.swap_remove(index)).unwrap_or_else(|| {
                let now = signature(&path);
                Watched { path, reported: now.clone(), seen: now }
            });
            self.files.push(watched);
        }
    }

    /// The files that have changed since their last report and are the same as at the last poll.
    ///
    /// A file that is still being written differs from poll to poll and is not reported. One that
    /// went away is reported, and so is one that came back.
    pub fn poll(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for file in &mut self.files {
            let now = signature(&file.path);
            let settled = now == file.seen;
            if settled && now != file.reported {
                file.reported.clone_from(&now);
                changed.push(file.path.clone());
            }
            file.seen = now;
        }
        changed
    }
}

/// The state of a file; whatever hides it counts as its absence.
fn signature(path: &Path) -> Signature {
    let resolved = fs::canonicalize(path).ok()?;
    let metadata = fs::metadata(&resolved).ok()?;
    Some(Identity {
        resolved,
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        watch: FileWatch,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("a"), "one").unwrap();
            let watch = FileWatch::new([dir.path().join("a")]);
            Self { dir, watch }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// How many polls in a row report a change.
        fn polls(&mut self, count: usize) -> Vec<usize> {
            (0..count).map(|_| self.watch.poll().len()).collect()
        }
    }

    #[test]
    fn an_untouched_file_is_never_reported() {
        assert_eq!(Fixture::new().polls(3), [0, 0, 0]);
    }

    #[test]
    fn a_written_file_is_reported_once_it_has_settled() {
        let mut f = Fixture::new();
        fs::write(f.path("a"), "half").unwrap();
        assert_eq!(f.polls(1), [0]);
        fs::write(f.path("a"), "half, whole").unwrap();
        assert_eq!(f.polls(1), [0], "it was still being written");
        assert_eq!(f.polls(3), [1, 0, 0]);
    }

    #[test]
    fn a_file_renamed_over_it_is_reported() {
        let mut f = Fixture::new();
        fs::write(f.path("new"), "two").unwrap();
        fs::rename(f.path("new"), f.path("a")).unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
    }

    #[test]
    fn a_change_that_keeps_size_and_modification_time_is_reported() {
        let mut f = Fixture::new();
        let before = fs::metadata(f.path("a")).unwrap().modified().unwrap();
        fs::write(f.path("new"), "two").unwrap();
        fs::File::options().write(true).open(f.path("new")).unwrap().set_modified(before).unwrap();
        fs::rename(f.path("new"), f.path("a")).unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
    }

    #[test]
    fn the_swap_of_a_mounted_volume_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("rhumb.yaml"), "same bytes").unwrap();
        }
        symlink("v1", path("..data")).unwrap();
        symlink("..data/rhumb.yaml", path("rhumb.yaml")).unwrap();
        let mut watch = FileWatch::new([path("rhumb.yaml")]);
        assert!(watch.poll().is_empty());

        symlink("v2", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        fs::remove_dir_all(path("v1")).unwrap();
        assert!(watch.poll().is_empty());
        assert_eq!(watch.poll(), [path("rhumb.yaml")]);
        assert!(watch.poll().is_empty());
    }

    #[test]
    fn going_away_and_coming_back_are_reported() {
        let mut f = Fixture::new();
        fs::remove_file(f.path("a")).unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
        fs::write(f.path("a"), "back").unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
    }

    #[test]
    fn a_file_that_was_gone_for_one_poll_only_is_reported_as_it_is_now() {
        let mut f = Fixture::new();
        fs::remove_file(f.path("a")).unwrap();
        assert_eq!(f.polls(1), [0]);
        fs::write(f.path("a"), "other").unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
    }

    #[test]
    fn a_dangling_or_circular_link_counts_as_absent() {
        let mut f = Fixture::new();
        fs::remove_file(f.path("a")).unwrap();
        symlink("a", f.path("a")).unwrap();
        assert_eq!(f.polls(3), [0, 1, 0]);
        fs::remove_file(f.path("a")).unwrap();
        symlink("nowhere", f.path("a")).unwrap();
        assert_eq!(f.polls(3), [0, 0, 0], "absent before and after");
    }

    #[test]
    fn other_files_keep_what_is_known_when_the_set_changes() {
        let mut f = Fixture::new();
        fs::write(f.path("a"), "changed").unwrap();
        fs::write(f.path("b"), "new in the set").unwrap();
        let (a, b) = (f.path("a"), f.path("b"));
        f.watch.set_paths([a.clone(), b.clone(), a.clone()]);
        assert!(f.watch.poll().is_empty());
        assert_eq!(f.watch.poll(), [a]);
        f.watch.set_paths([b]);
        assert_eq!(f.polls(2), [0, 0]);
    }
}
