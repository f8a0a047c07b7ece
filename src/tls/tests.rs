//! Real handshakes, in memory.

use super::dev::{self, DevAuthority, DevPaths, DevUsage};
use super::server::{ClientCertificates, ServerFiles};
use super::*;
use crate::types::{Clock, SystemClock};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, ServerName};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn text(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn write(folder: &Path) -> DevPaths {
    let server = text(&["bridge.test", "127.0.0.1"]);
    let client = text(&["pomerium.test", "spiffe://test/pomerium"]);
    dev::write(
        folder,
        &server,
        &client,
        &text(&["service.test"]),
        SystemClock.now(),
    )
    .unwrap()
}

fn server(paths: &DevPaths) -> ServerFiles {
    ServerFiles {
        certificate: paths.server.clone(),
        key: paths.server_key.clone(),
        clients: ClientCertificates::Required {
            ca: paths.ca.clone(),
        },
        h2: false,
    }
}

fn client(paths: &DevPaths) -> ClientFiles {
    ClientFiles {
        ca: Some(paths.ca.clone()),
        identity: Some((paths.client.clone(), paths.client_key.clone())),
        h2: true,
    }
}

struct Done {
    server: ServerConnection,
    client: ClientConnection,
}

impl Done {
    fn peer(&self) -> &[CertificateDer<'static>] {
        self.server.peer_certificates().unwrap_or_default()
    }
}

/// Carries bytes to and fro until both are done; the error is that of whoever gave up first.
fn handshake(
    server: ServerConfig,
    client: ClientConfig,
    name: &str,
) -> Result<Done, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    while server.is_handshaking() || client.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        feed(&bytes, |from| server.read_tls(from).unwrap());
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        feed(&bytes, |from| client.read_tls(from).unwrap());
        client.process_new_packets()?;
    }
    Ok(Done { server, client })
}

fn feed(mut bytes: &[u8], mut read: impl FnMut(&mut &[u8]) -> usize) {
    while !bytes.is_empty() {
        read(&mut bytes);
    }
}

fn with<T>(test: impl FnOnce(&Path, DevPaths) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path());
    test(folder.path(), paths)
}

#[test]
fn the_pinned_client_is_let_in_by_each_of_its_names() {
    with(|_, paths| {
        let (server, client) = (server(&paths), client(&paths));
        let done = handshake(
            server.load().unwrap(),
            client.load().unwrap(),
            "bridge.test",
        )
        .unwrap();
        assert_eq!(done.client.alpn_protocol(), Some(&b"http/1.1"[..]));
        let names = peer::names(&done.peer()[0]).unwrap();
        let [dns, uri, PeerName::Spki(hash)] = &names[..] else {
            panic!("{names:?}")
        };
        let by = |dns: &[&str], uri: &[&str], spki: &[[u8; 32]]| {
            let pinned = PinnedNames {
                dns: text(dns),
                uri: text(uri),
                spki_sha256: spki.to_vec(),
            };
            peer::admitted(done.peer(), &pinned)
        };
        assert_eq!(
            by(&["other.test", "Pomerium.test"], &[], &[]).as_ref(),
            Ok(dns)
        );
        assert_eq!(by(&[], &["spiffe://test/pomerium"], &[]).as_ref(), Ok(uri));
        assert_eq!(by(&[], &[], &[*hash]), Ok(PeerName::Spki(*hash)));

        let refused = by(
            &["*.test", "test", "pomerium.test."],
            &["spiffe://test/"],
            &[[0; 32]],
        );
        let refused = refused.unwrap_err();
        assert!(matches!(refused, PeerError::NotPinned(_)));
        assert!(
            refused.to_string().contains("dns:pomerium.test"),
            "{refused}"
        );
        assert!(by(&[], &[], &[]).is_err());
        assert!(PinnedNames::default().is_empty());
    });
}

#[test]
fn a_missing_or_foreign_client_certificate_is_refused() {
    with(|folder, paths| {
        let none = ClientFiles {
            identity: None,
            ..client(&paths)
        };
        let load = |files: &ServerFiles| files.load().unwrap();
        let refused = handshake(load(&server(&paths)), none.load().unwrap(), "bridge.test");
        assert!(matches!(
            refused,
            Err(rustls::Error::NoCertificatesPresented)
        ));

        let foreign = write(&folder.join("foreign"));
        let foreign = ClientFiles {
            identity: Some((foreign.client, foreign.client_key)),
            ..client(&paths)
        };
        let try_foreign =
            |files: &ServerFiles| handshake(load(files), foreign.load().unwrap(), "bridge.test");
        assert!(matches!(
            try_foreign(&server(&paths)),
            Err(rustls::Error::InvalidCertificate(_))
        ));

        // A server's certificate of the right authority is no client's.
        let server_as_client = ClientFiles {
            identity: Some((paths.server.clone(), paths.server_key.clone())),
            ..client(&paths)
        };
        let refused = handshake(
            load(&server(&paths)),
            server_as_client.load().unwrap(),
            "bridge.test",
        );
        assert!(matches!(refused, Err(rustls::Error::InvalidCertificate(_))));

        // Asked for, not demanded: none is fine, a wrong one is not.
        let optional = ServerFiles {
            clients: ClientCertificates::Optional {
                ca: paths.ca.clone(),
                crl: None,
            },
            ..server(&paths)
        };
        let done = handshake(load(&optional), none.load().unwrap(), "bridge.test").unwrap();
        let pinned = PinnedNames {
            dns: text(&["pomerium.test"]),
            ..PinnedNames::default()
        };
        assert_eq!(
            peer::admitted(done.peer(), &pinned),
            Err(PeerError::NoCertificate)
        );
        assert!(try_foreign(&optional).is_err());
    });
}

#[test]
fn we_refuse_a_server_with_another_name_or_authority() {
    with(|folder, paths| {
        let load = || server(&paths).load().unwrap();
        let ours = client(&paths);
        assert!(handshake(load(), ours.load().unwrap(), "127.0.0.1").is_ok());
        assert!(handshake(load(), ours.load().unwrap(), "other.test").is_err());
        let other = ClientFiles {
            ca: Some(write(&folder.join("foreign")).ca),
            ..ours.clone()
        };
        assert!(handshake(load(), other.load().unwrap(), "bridge.test").is_err());
        let public = ClientFiles { ca: None, ..ours };
        assert!(handshake(load(), public.load().unwrap(), "bridge.test").is_err());
    });
}

#[test]
fn h2_is_offered_only_when_asked_for() {
    with(|_, paths| {
        let files = ServerFiles {
            h2: true,
            ..server(&paths)
        };
        let done = handshake(
            files.load().unwrap(),
            client(&paths).load().unwrap(),
            "bridge.test",
        );
        assert_eq!(done.unwrap().server.alpn_protocol(), Some(&b"h2"[..]));
    });
}

/// recordings/pomerium, difference 32. No client of ours sends such a name, so one is written into
/// a hello over a DNS name of the same length.
#[test]
fn an_ip_address_as_sni_is_ignored() {
    with(|_, paths| {
        let config = Arc::new(server(&paths).load().unwrap());
        let client_config = Arc::new(client(&paths).load().unwrap());
        let hello = |sni: &[u8; 9]| {
            let name = ServerName::try_from("aaa.bbb.c").unwrap();
            let mut bytes = Vec::new();
            let mut client = ClientConnection::new(Arc::clone(&client_config), name).unwrap();
            client.write_tls(&mut bytes).unwrap();
            let at = bytes
                .windows(9)
                .position(|part| part == b"aaa.bbb.c")
                .unwrap();
            bytes[at..at + 9].copy_from_slice(sni);
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            feed(&bytes, |from| server.read_tls(from).unwrap());
            server.process_new_packets().unwrap();
            assert!(server.wants_write());
            server.server_name().map(str::to_owned)
        };
        assert_eq!(hello(b"aaa.bbb.d").as_deref(), Some("aaa.bbb.d"));
        assert_eq!(hello(b"127.0.0.1"), None);
    });
}

#[test]
fn a_reload_takes_a_new_certificate_and_keeps_the_old_one_on_error() {
    with(|folder, paths| {
        let files = server(&paths);
        let reloading = Reloading::new(files.paths(), move || files.load()).unwrap();
        assert!(!reloading.changed());
        let served = || {
            let config = ServerConfig::clone(&reloading.get());
            let done = handshake(config, client(&paths).load().unwrap(), "bridge.test");
            let done = done.unwrap();
            done.client.peer_certificates().unwrap()[0].to_vec()
        };
        let first = served();

        // Another certificate whose key has not arrived yet.
        let foreign = write(&folder.join("new"));
        fs::rename(&foreign.server, &paths.server).unwrap();
        assert!(reloading.changed());
        let refused = reloading.reload().unwrap_err().to_string();
        assert!(refused.contains("server.pem"), "{refused}");
        assert_eq!(served(), first);
        assert!(!reloading.changed(), "one attempt a change");

        fs::rename(&foreign.server_key, &paths.server_key).unwrap();
        fs::rename(&foreign.ca, &paths.ca).unwrap();
        fs::rename(&foreign.client, &paths.client).unwrap();
        fs::rename(&foreign.client_key, &paths.client_key).unwrap();
        assert!(reloading.changed());
        reloading.reload().unwrap();
        assert_ne!(served(), first);

        fs::remove_file(&paths.server).unwrap();
        assert!(reloading.changed());
        assert!(reloading.reload().is_err());
        served();
    });
}

#[test]
fn development_keys_are_private_and_never_overwritten() {
    with(|folder, paths| {
        for key in [&paths.ca_key, &paths.server_key, &paths.client_key] {
            let mode = fs::metadata(key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = dev::write(folder, &text(&["a.test"]), &[], &[], SystemClock.now());
        assert!(matches!(again, Err(TlsError::Write { .. })));
    });
    let authority = DevAuthority::new(SystemClock.now()).unwrap();
    assert!(
        authority
            .issue(DevUsage::Server, &text(&["é.test"]))
            .is_err()
    );
}

#[test]
fn what_is_no_certificate_or_key_is_named_with_its_file() {
    with(|folder, paths| {
        let empty = folder.join("empty.pem");
        fs::write(&empty, "").unwrap();
        for (files, part) in [
            (
                ServerFiles {
                    certificate: folder.join("no.pem"),
                    ..server(&paths)
                },
                "no.pem",
            ),
            (
                ServerFiles {
                    certificate: empty.clone(),
                    ..server(&paths)
                },
                "BEGIN CERTIFICATE",
            ),
            (
                ServerFiles {
                    key: empty.clone(),
                    ..server(&paths)
                },
                "openssl pkcs8",
            ),
            (
                ServerFiles {
                    key: paths.ca.clone(),
                    ..server(&paths)
                },
                "ca.pem",
            ),
            (
                ServerFiles {
                    key: paths.client_key.clone(),
                    ..server(&paths)
                },
                "belong together",
            ),
        ] {
            let said = files.load().map(drop).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
        }
    });
}

/// recordings/pomerium, difference 2: Pomerium may show a P-384 or an RSA certificate as well.
#[test]
fn client_certificates_of_every_usual_kind_are_let_in() {
    with(|folder, paths| {
        let authority = DevAuthority::new(SystemClock.now()).unwrap();
        fs::write(&paths.ca, authority.certificate()).unwrap();
        let of = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let own = authority
            .issue(DevUsage::Server, &text(&["bridge.test"]))
            .unwrap();
        let listener = ServerFiles {
            certificate: of("s.pem", &own.certificate),
            key: of("s-key.pem", &own.key),
            ..server(&paths)
        };
        for algorithm in [
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_ED25519,
        ] {
            let shown = authority
                .issue_of(algorithm, DevUsage::Client, &text(&["pomerium.test"]))
                .unwrap();
            let caller = ClientFiles {
                identity: Some((of("c.pem", &shown.certificate), of("c-key.pem", &shown.key))),
                ..client(&paths)
            };
            let done = handshake(
                listener.load().unwrap(),
                caller.load().unwrap(),
                "bridge.test",
            )
            .unwrap();
            let pinned = PinnedNames {
                dns: text(&["pomerium.test"]),
                ..PinnedNames::default()
            };
            assert!(
                peer::admitted(done.peer(), &pinned).is_ok(),
                "{algorithm:?}"
            );
        }
    });
}
