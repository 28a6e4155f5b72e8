//! The `profile-gateway` command.

fn main() {}
