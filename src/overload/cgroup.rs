//! The memory that the control group of the process may have (cgroups version 2, or 1): what the
//! kernel kills for, so the limit where none is configured.

use std::path::{Path, PathBuf};

/// What version 1 says when there is no limit is near the largest number that it has.
const UNLIMITED: u64 = 1 << 60;

/// The least that any group around this process allows, in bytes; `None`: nothing is limited, or
/// nobody says so.
pub fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    files(&groups).iter().filter_map(|path| read(path)).filter_map(|text| limit(&text)).min()
}

/// The files that may say it: of the group itself and of all around it.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Inside a container the path may be that of the host: then only the root is there.
        let inner = Path::new(path.trim_start_matches('/'));
        files.extend(inner.ancestors().map(|group| Path::new(root).join(group).join(name)));
    }
    files
}

fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_around_is_asked() {
        let of = |text| -> Vec<_> {
            files(text).into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            of("0::/a/b\n"),
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            of("9:name=systemd:/\n4:cpu,memory:/x\n"),
            [
                "/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(of("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert!(of("").is_empty() && of("garbage\n1:x\n").is_empty());
    }

    #[test]
    fn what_is_no_number_or_too_large_is_no_limit() {
        assert_eq!(limit("536870912\n"), Some(512 << 20));
        for none in ["max\n", "9223372036854771712\n", "", "-1"] {
            assert_eq!(limit(none), None);
        }
    }
}
