//! Arguments and glue: one file per subcommand.

pub mod exit;
