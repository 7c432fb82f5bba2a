//! Parse, open, hand over.

/// Pages are decompressed by many threads at once. glibc grows the heap of each thread a page at a
/// time (a sixth of the time to list 4,000 tasks); mimalloc takes memory in large pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hangscope::cli::run()
}
