//! Parse, open, hand over.

fn main() -> std::process::ExitCode {
    hangscope::cli::run()
}
