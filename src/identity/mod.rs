//! People: who needs which account.
