//! Which threads go first. Attackers are other machines in truth: they must not take a victim's processor.

/// Who goes first where threads want the same core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Normal,
    /// Has what is left, and gives it back at once. `nice` does not do: who wakes up waits until the
    /// slice that runs is over.
    Idle,
}

impl Urgency {
    /// Makes it this thread's. Where that cannot be, attackers are as urgent as victims, and latencies
    /// mean little.
    pub(crate) fn take(self) {
        if self == Self::Idle {
            give_way();
        }
    }
}

#[cfg(target_os = "linux")]
fn give_way() {
    use thread_priority::ThreadPriority;
    use thread_priority::unix::{
        NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let this = thread_native_id();
    if let Err(error) = set_thread_priority_and_policy(this, ThreadPriority::Min, idle) {
        eprintln!("warning: attackers are as urgent as victims: {error:?}");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}
