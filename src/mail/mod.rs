//! Letters to people: one so far, *you have access*, when the first app opens for somebody who was
//! given an account before they ever signed in. What lives here: what a letter says, in French and
//! English ([`letter`]), and handing it to the operator's mail server ([`post`]). What does not: when
//! one is due (`identity`), and trying again (`jobs`).

pub mod letter;
pub mod post;
