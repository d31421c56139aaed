//! The `mesh` command from the outside: arguments and files in, exit code and text out.

mod build;
mod ca;
mod check;
mod diff;
mod doc;
mod environments;
mod examples;
mod explain;
mod fix;
mod fmt;
mod graph;
mod harness;
mod help;
mod inspect;
mod interrupted;
mod schema;
mod suppression;
mod test;
mod trim;
mod up;
mod who;
mod why;
