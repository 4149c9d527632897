//! `demo`: the whole pipeline on a repository made for it.

mod agent;
mod shop;
mod work;
