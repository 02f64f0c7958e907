//! HTTP.
mod keys;
mod landing;
mod problem;
