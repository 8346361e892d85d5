//! The live page at the root of the admin port. Its files are mounted here.

use actix_web::web::ServiceConfig;

/// Mounts the page's files.
pub fn configure(_config: &mut ServiceConfig) {}
