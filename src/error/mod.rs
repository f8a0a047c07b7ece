//! Every way to say no.
