//! One folder an app.
