//! Plays many seeds, each on a paused clock of its own, on as many threads as there are cores.

use std::fmt::Debug;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, LocalOptions};

/// Plays each of the jobs, and returns what they came to, in their order. When one panics, so does the test.
pub(crate) fn on_all_cores<J: Sync + Debug, T: Send>(
    jobs: &[J],
    play: impl AsyncFn(&J) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { return };
            let mut clock = Builder::new_current_thread();
            let runtime = clock.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
            let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(job))));
            let result = result.unwrap_or_else(|why| {
                println!("this one failed: {job:?}");
                resume_unwind(why)
            });
            played.lock().unwrap().push((number, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    let mut played = played.into_inner().unwrap();
    played.sort_by_key(|(number, _)| *number);
    played.into_iter().map(|(_, result)| result).collect()
}
