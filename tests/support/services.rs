//! Services that call the api listener: authorities, certificates, revocation lists, tokens, and a
//! client that is not ours.

use super::bridge::{BINARY, Bridge, Settings, listening};
use super::world::World;
use auth_manager::demo::door::Minter;
use auth_manager::demo::mattermost::Options;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber,
};
use reqwest::Method;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Name of the api listener, in its certificate and its issuer.
pub const API: &str = "api.example.test";
/// The audience of callers' tokens.
pub const AUDIENCE: &str = "https://api.example.test";
/// `iss` of access tokens.
pub const ISSUER: &str = "https://id.example.test/";
/// `iss` and `sub` of the client that signs its own.
pub const OWN: &str = "urn:example:batch";

/// Signs certificates of services, and takes them back.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
    serial: SerialNumber,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A listener's certificate.
    pub fn server(&self, name: &str) -> Identity {
        self.issue(&[name], ExtendedKeyUsagePurpose::ServerAuth, Duration::DAY)
    }

    /// A caller's certificate, for a day.
    pub fn client(&self, names: &[&str]) -> Identity {
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth, Duration::DAY)
    }

    /// One that ended an hour ago.
    pub fn expired(&self, name: &str) -> Identity {
        self.issue(
            &[name],
            ExtendedKeyUsagePurpose::ClientAuth,
            -Duration::HOUR,
        )
    }

    fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose, life: Duration) -> Identity {
        let mut params = CertificateParams::default();
        params.not_before = OffsetDateTime::now_utc() - Duration::DAY;
        params.not_after = OffsetDateTime::now_utc() + life;
        let san = |name: &&str| match name.contains("://") {
            true => SanType::URI((*name).try_into().unwrap()),
            false => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        params.extended_key_usages = vec![usage];
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.use_authority_key_identifier_extension = true;
        let serial = SerialNumber::from(uuid::Uuid::new_v4().as_u128() as u64 >> 1);
        params.serial_number = Some(serial.clone());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A revocation list that is good for `life` from now.
    pub fn revocation_list(&self, revoked: &[&Identity], life: Duration) -> String {
        let now = OffsetDateTime::now_utc();
        let one = |identity: &&Identity| RevokedCertParams {
            serial_number: identity.serial.clone(),
            revocation_time: now - Duration::DAY,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::DAY,
            next_update: now + life,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// What a bridge that serves an api is started with.
pub struct Setup {
    /// `[listen.api]`, beside address and issuer.
    pub listen: String,
    /// TLS; otherwise plain HTTP on loopback.
    pub tls: bool,
    /// With a revocation list, empty at first.
    pub crl: bool,
    /// Further TOML: `[[clients]]`.
    pub clients: String,
    /// `[limits]`.
    pub limits: String,
    /// Everything else.
    pub settings: Settings,
    /// The app.
    pub app: Options,
    /// Hears where the app listens, before there is a bridge.
    pub tell: Box<dyn FnOnce(SocketAddr) + Send>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: String::new(),
            tls: true,
            crl: false,
            clients: String::new(),
            limits: String::new(),
            settings: Settings::default(),
            app: Options::default(),
            tell: Box::new(|_| {}),
        }
    }
}

/// A bridge that serves an api, and what stands around it.
pub struct Services {
    pub world: World,
    pub api: SocketAddr,
    pub authority: Authority,
    /// Signs access tokens and the batch client's own.
    pub signer: Minter,
    /// The bearer of the client `hook`.
    pub secret: String,
    tls: bool,
    files: tempfile::TempDir,
    settings: Settings,
}

/// Another replica on the same PostgreSQL.
pub struct Replica {
    pub bridge: Bridge,
    pub api: SocketAddr,
}

impl Services {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// Clients: `reader` (certificate, users:read), `asker` (certificate or token, introspect and
    /// users:read), `admin` (certificate and token), `batch` (signs its own, users:read), `hook`
    /// (static bearer).
    pub async fn with(setup: Setup) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new("the services' authority");
        let signer = Minter::generate().unwrap();
        let made = std::process::Command::new(BINARY)
            .args(["clients", "new-bearer", "--json"])
            .output()
            .expect("the binary starts");
        let made: Value = serde_json::from_slice(&made.stdout).expect("a bearer");
        let secret = made["bearer"].as_str().unwrap().to_owned();
        let hash = made["sha256"].as_str().unwrap();
        let path = |name: &str| files.path().join(name).display().to_string();
        let write = |name: &str, text: &str| {
            std::fs::write(path(name), text).unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o600)).unwrap();
        };
        let server = authority.server(API);
        write("server.pem", &server.certificate);
        write("server-key.pem", &server.key);
        write("ca.pem", &authority.pem());
        write(
            "clients.crl",
            &authority.revocation_list(&[], Duration::DAY),
        );
        write("services.json", &signer.jwks());
        write("own.json", &signer.jwks());
        let mut listen = format!(
            "[listen.api]\naddress = \"127.0.0.1:0\"\nissuer = \"{AUDIENCE}\"\n{}\n",
            setup.listen
        );
        if setup.tls {
            listen.push_str(&format!(
                "[listen.api.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
                path("server.pem"),
                path("server-key.pem"),
                path("ca.pem"),
            ));
        }
        if setup.crl {
            listen.push_str(&format!("client_crl = {:?}\n", path("clients.crl")));
        }
        let certificates = |names: &str| match setup.tls {
            true => format!("certificate_names = [{names}]\n"),
            false => String::new(),
        };
        let reader = match setup.tls {
            true => format!(
                "[[clients]]\nid = \"reader\"\nscopes = [\"users:read\"]\n{}",
                certificates("\"reader.internal\", \"spiffe://example.test/reader\"")
            ),
            false => String::new(),
        };
        let more = format!(
            "{listen}\n\
             [[api_issuers]]\nid = \"services\"\nissuer = \"{ISSUER}\"\njwks = {{ file = {:?} }}\nrefresh = \"10s\"\ncooldown = \"1s\"\n\
             [[api_issuers]]\nid = \"own\"\nprofile = \"client-assertion\"\nissuer = \"{OWN}\"\njwks = {{ file = {:?} }}\n\
             {reader}\
             [[clients]]\nid = \"asker\"\nscopes = [\"introspect\", \"users:read\"]\nbearer = {{ issuer = \"services\", sub = \"asker\" }}\n{}\
             [[clients]]\nid = \"admin\"\nscopes = [\"admin\"]\nbearer = {{ issuer = \"services\", sub = \"admin\" }}\n{}\
             [[clients]]\nid = \"batch\"\nscopes = [\"users:read\"]\nbearer = {{ issuer = \"own\", sub = \"{OWN}\" }}\n\
             [[clients]]\nid = \"hook\"\nscopes = [\"hooks\", \"scim\"]\nstatic_bearer_sha256 = [\"{hash}\"]\n\
             {}\n",
            path("services.json"),
            path("own.json"),
            certificates("\"asker.internal\""),
            certificates("\"admin.internal\""),
            setup.clients,
        );
        let settings = Settings {
            more,
            limits: setup.limits,
            ..setup.settings
        };
        let mut world = World::told(settings.clone(), setup.app, None, setup.tell).await;
        let api = world
            .bridge
            .line("the api's address", |line| listening(line, "api"))
            .await;
        world.taint.private(&secret);
        Self {
            world,
            api,
            authority,
            signer,
            secret,
            tls: setup.tls,
            files,
            settings,
        }
    }

    /// A second bridge of the same configuration, whose store is shared.
    pub async fn replica(&self) -> Replica {
        assert!(!self.settings.postgres.is_empty(), "replicas share a store");
        let mut bridge = self.world.replica(&self.settings).await;
        let api = bridge
            .line("the api's address", |line| listening(line, "api"))
            .await;
        Replica { bridge, api }
    }

    /// Replaces one of the files that the configuration names.
    pub fn replace(&self, name: &str, text: &str) {
        let path = self.path(name);
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A certificate and its key as files, for a client that reads them from there.
    pub fn keep(&self, identity: &Identity) -> (PathBuf, PathBuf) {
        let name = uuid::Uuid::new_v4();
        let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
        std::fs::write(self.path(&certificate), &identity.certificate).unwrap();
        std::fs::write(self.path(&key), &identity.key).unwrap();
        (self.path(&certificate), self.path(&key))
    }

    /// A new process on the same files.
    pub async fn restart(&mut self) {
        self.world.bridge.stop().await;
        self.restart_killed().await;
    }

    /// The same, when there is none any more.
    pub async fn restart_killed(&mut self) {
        self.world.bridge.restart().await;
        let bridge = &mut self.world.bridge;
        self.api = bridge
            .line("the api's address", |line| listening(line, "api"))
            .await;
    }

    /// SIGHUP, and waits until certificates and lists were read.
    pub async fn hang_up(&mut self) {
        let said = |output: &str| {
            let ours = |line: &&str| line.contains("listen.api.tls") && line.contains("read again");
            output.lines().filter(ours).count()
        };
        let before = said(&self.world.bridge.output());
        self.world.bridge.hang_up();
        let bridge = &self.world.bridge;
        super::eventually("certificates were read again", async || {
            (said(&bridge.output()) > before).then_some(())
        })
        .await;
    }

    /// A caller without a certificate.
    pub fn nobody(&self) -> Peer {
        self.peer(None, false)
    }

    /// A caller with one.
    pub fn caller(&self, identity: &Identity) -> Peer {
        self.peer(Some(identity), false)
    }

    /// A caller whose certificate is for these names.
    pub fn named(&self, names: &[&str]) -> Peer {
        self.caller(&self.authority.client(names))
    }

    pub fn peer(&self, identity: Option<&Identity>, h2: bool) -> Peer {
        self.peer_at(self.api, identity, h2)
    }

    /// A caller of the api that listens there.
    pub fn peer_at(&self, api: SocketAddr, identity: Option<&Identity>, h2: bool) -> Peer {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(super::PATIENCE)
            .resolve(API, api);
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read_to_string(self.path("ca.pem")).unwrap();
        for pem in [pem, self.authority.pem()] {
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                .unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![if h2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        builder = builder.tls_backend_preconfigured(config);
        let scheme = if self.tls { "https" } else { "http" };
        Peer {
            http: builder.build().unwrap(),
            base: format!("{scheme}://{API}:{}", api.port()),
            taint: self.world.taint.clone(),
        }
    }

    /// An access token of `sub`, with some claims changed; `null` takes one away.
    pub fn token(&self, sub: &str, changes: Value) -> String {
        self.sign(&self.signer, "at+jwt", ISSUER, sub, changes)
    }

    /// An assertion that the client `batch` signs itself.
    pub fn assertion(&self, jti: &str, changes: Value) -> String {
        let mut all = json!({ "jti": jti });
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        self.sign(&self.signer, "JWT", OWN, OWN, all)
    }

    pub fn sign(&self, by: &Minter, typ: &str, iss: &str, sub: &str, changes: Value) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut claims = json!({
            "iss": iss, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 120,
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let header = json!({ "alg": "ES256", "kid": by.kid(), "typ": typ }).to_string();
        let token = by.sign(&header, claims.to_string().as_bytes()).unwrap();
        self.world.taint.private(&token);
        token
    }

    /// Ends the bridge and asserts that no secret of a caller got into logs or metrics.
    pub async fn finish(self) {
        self.world.finish().await;
    }
}

/// A client of the api: a stock HTTP library.
pub struct Peer {
    http: reqwest::Client,
    base: String,
    taint: super::taint::Taint,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The code of a problem document.
    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Peer {
    /// A request; an error is a connection that was refused or broken.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Reply, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hear(request).await
    }

    async fn hear(&self, request: reqwest::RequestBuilder) -> Result<Reply, String> {
        let answer = request.send().await.map_err(|e| format!("{e:?}"))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.map_err(|e| format!("{e:?}"))?;
        self.taint.downstream("the api", text.as_bytes());
        Ok(Reply {
            status,
            headers,
            text,
        })
    }

    /// A request with these bytes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hear(request.body(body)).await.expect("an answer")
    }

    pub async fn try_get(&self, path: &str) -> Result<Reply, String> {
        self.try_send(Method::GET, path, &[]).await
    }

    /// `POST` of these bytes as JSON.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        self.try_post(path, headers, body).await.expect("an answer")
    }

    /// The same; an error is a connection that was refused or broken.
    pub async fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Reply, String> {
        let mut request = self.http.post(format!("{}{path}", self.base));
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hear(request.body(body)).await
    }

    /// `POST` of a form that needs no escapes.
    pub async fn form(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Reply {
        let mut request = self.http.post(format!("{}{path}", self.base));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.hear(request.body(form.to_owned()));
        sent.await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.try_get(path).await.expect("an answer")
    }

    /// `GET` with a bearer.
    pub async fn bearing(&self, path: &str, bearer: &str) -> Reply {
        let bearer = format!("Bearer {bearer}");
        self.try_send(Method::GET, path, &[("authorization", &bearer)])
            .await
            .expect("an answer")
    }
}
