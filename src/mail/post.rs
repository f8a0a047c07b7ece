//! Hands letters to the operator's mail server (SMTP, RFC 5321), over TLS unless the configuration
//! says otherwise.

use super::letter::{Letter, line};
use crate::config::MailConfig;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;

/// A mail server.
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a letter did not go.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The settings can't be used.
    #[error("mail: {0}")]
    Settings(String),
    /// No such address: trying again mends nothing.
    #[error("mail: the person's address is none")]
    Address,
    /// The server refused for good (SMTP 5xx).
    #[error("mail: the server refuses: {0}")]
    Refused(String),
    /// It does not answer, or says that later is better.
    #[error("mail: the server does not take it now: {0}")]
    Later(String),
}

impl Post {
    /// A server as configured; its password is read now.
    ///
    /// # Errors
    /// When a file can't be read or the sender is none.
    pub fn new(config: &MailConfig) -> Result<Self, PostError> {
        let settings = |why: &dyn std::fmt::Display| PostError::Settings(why.to_string());
        let host = config.server.host_str().unwrap_or_default();
        let wrapped = config.server.scheme() == "smtps";
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(
                config
                    .server
                    .port()
                    .unwrap_or(if wrapped { 465 } else { 587 }),
            )
            .timeout(Some(config.timeout));
        if !config.plain {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(ca) = &config.ca {
                let pem =
                    std::fs::read(ca).map_err(|e| settings(&format!("{}: {e}", ca.display())))?;
                let certificate = Certificate::from_pem(&pem).map_err(|e| settings(&e))?;
                parameters = parameters
                    .certificate_store(lettre::transport::smtp::client::CertificateStore::None)
                    .add_root_certificate(certificate);
            }
            let parameters = parameters.build_rustls().map_err(|e| settings(&e))?;
            builder = builder.tls(match wrapped {
                true => Tls::Wrapper(parameters),
                false => Tls::Required(parameters),
            });
        }
        if let Some((name, password)) = &config.login {
            let password = password.read().map_err(|e| settings(&e))?;
            builder = builder.credentials(Credentials::new(
                name.clone(),
                password.expose_secret().to_owned(),
            ));
        }
        Ok(Self {
            transport: builder.build(),
            from: config.from.parse().map_err(|e| settings(&e))?,
        })
    }

    /// Sends a letter to one person.
    ///
    /// # Errors
    /// As [`PostError`] says; a letter that may have gone is not sent again unless the server said
    /// that it did not take it.
    pub async fn send(&self, name: &str, address: &str, letter: Letter) -> Result<(), PostError> {
        let to: Address = address.parse().map_err(|_| PostError::Address)?;
        let name = Some(line(name)).filter(|name| !name.is_empty());
        let message = MessageBuilder::new()
            .from(self.from.clone())
            .to(Mailbox::new(name, to))
            .subject(letter.subject)
            // RFC 3834: no vacation note answers it.
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text)
            .map_err(|error| PostError::Settings(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(PostError::Refused(error.to_string())),
            Err(error) => Err(PostError::Later(error.to_string())),
        }
    }
}

#[derive(Debug, Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

#[cfg(test)]
mod tests;
