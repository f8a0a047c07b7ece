# Every key of config/auth-manager.toml as a typed option, under the file's own names. A key that is
# not set is not written: the program's default holds, and is documented in that file alone. A test
# (tests/shipped) holds this list and the file together: a new key is one line here.
{ lib }:
let
  inherit (lib) mkOption types;

  # A key with a default of the program's.
  key =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  # A key that must be said.
  required = type: description: mkOption { inherit type description; };
  # A table: keys that are not listed are taken as they are, so that a newer program can be used.
  open = options: {
    freeformType = types.attrsOf types.anything;
    inherit options;
  };
  section =
    description: options:
    mkOption {
      type = types.submodule (open options);
      default = { };
      inherit description;
    };
  sections =
    description: options:
    mkOption {
      type = types.listOf (types.submodule (open options));
      default = [ ];
      inherit description;
    };

  text = types.str;
  texts = types.listOf types.str;
  flag = types.bool;
  count = types.ints.unsigned;
  duration = types.strMatching "([0-9]+(ms|s|m|h|d))+";
  size = types.either types.ints.unsigned (types.strMatching "[0-9]+(B|KiB|MiB|GiB)");
  address = types.strMatching "off|.*:[0-9]+";
  # Never a Nix path: those are copied into the store, where everybody can read them.
  file = types.strMatching "/.*|[^/].*";
  choice = types.enum;
  # Where a secret is, never the secret.
  secret = types.submodule {
    options = {
      file = key file "A file that only auth-manager may read.";
      credential = key text "A systemd credential: a name in `services.auth-manager.credentials`.";
    };
  };
  # By name, or bound to the directory's id of it.
  group = types.either text (
    types.submodule {
      options = {
        name = required text "As assertions name it.";
        id = required text "The directory's own id of it.";
      };
    }
  );
  keySet = types.submodule {
    options = {
      url = key text "A fixed address.";
      ca = key file "The authority of that address, when it is not a public one.";
      file = key file "Or a file.";
    };
  };
in
{
  insecure_secret_permissions = key flag "Accept secrets that others may read.";

  listen = section "Where the bridge listens." {
    proxy = section "Where Pomerium reaches it." {
      address = key address "IP address and port. With socket activation the socket's counts.";
      health_path = key text "Answered 200 without identity, for Pomerium's health checks.";
      http2 = key flag "Also HTTP/2.";
      insecure_plain_http = key flag "Plain HTTP beyond loopback.";
      tls = section "TLS with Pomerium's client certificate." {
        certificate = key file "The bridge's own certificate (PEM).";
        key = key file "Its key.";
        client_ca = key file "The authority of Pomerium's client certificate.";
        client_names = key texts "Names, one of which that certificate must have.";
        insecure_no_client_certificate = key flag "TLS without asking for Pomerium's certificate.";
      };
    };
    api = section "Where services reach it." {
      address = key address "IP address and port, or \"off\".";
      issuer = key text "Under which address services know the bridge.";
      audience = key text "What `aud` of callers' tokens must say.";
      body = key size "Longest request body.";
      timeout = key duration "How long a request may take.";
      connections = key count "Connections at once.";
      rate = key count "Requests a second of each client.";
      burst = key count "Requests at once after a rest.";
      require_both = key flag "Changes of the scope admin need a certificate and a bearer.";
      insecure_plain_http = key flag "Plain HTTP beyond loopback.";
      tls = section "TLS of the api listener." {
        certificate = key file "The listener's own certificate (PEM).";
        key = key file "Its key.";
        client_ca = key file "The authority of clients' certificates.";
        client_crl = key file "Its revocation list.";
      };
    };
    ops = section "Health and metrics." {
      address = key address "IP address and port, or \"off\".";
    };
  };

  store = section "Where state lives." {
    sqlite = key file "The embedded store's file.";
    postgres = section "Or PostgreSQL, for several replicas." {
      url = key secret "A postgres:// URL.";
      max_connections = key count "Connections of this replica.";
      ca = key file "The authority of the server's certificate.";
    };
  };

  keys = section "Keys of the bridge's own." {
    master_key = key secret "Wraps everything at rest.";
    next_master_key = key secret "The master key that other replicas may seal with already.";
    former_master_keys = key (types.listOf secret) "Master keys of before.";
    announce = key duration "How long a new signing key is published before it signs.";
    rotate_every = key (types.either (choice [ "off" ]) duration) "How old a signing key becomes.";
  };

  issuers = sections "Who vouches for visitors." {
    id = required text "Never change it: it is half of every person's key.";
    profile = key (choice [ "pomerium" ]) "How its assertions look.";
    jwks = required keySet "Its public keys.";
    refresh = key duration "How often the keys are read again.";
    cooldown = key duration "At most one question for an unknown key in so long.";
    stale_limit = key duration "How long the last good keys are used.";
    leeway = key duration "How far the clocks may differ.";
    max_lifetime = key duration "Longest life of an assertion that is believed.";
    replay = key (choice [ "enforce" "count" "off" ]) "What happens to an assertion that was used before.";
    replay_entries = key count "How many are remembered.";
    insecure_http_jwks = key flag "http:// addresses for jwks beyond loopback.";
  };

  directory = section "How what directories say is weighed." {
    max_age = key duration "How old a directory's word may be and still decide.";
    admin_max_age = key duration "The same, where it gives power over an app.";
    may_grant = key flag "Whether it admits somebody whose assertion lacks the group.";
    insecure_grant_without_groups = key flag "The same, when the assertion names no group at all.";
    grace = key duration "How long accounts stand after it has turned somebody away.";
  };

  directories = sections "Who is asked about people and groups." {
    id = required text "Never change it: what the directory said is kept under it.";
    kind = required (choice [ "authentik" "keycloak" ]) "Which kind.";
    issuer = key text "Which of issuers vouches for the people it names.";
    url = required text "Where it is.";
    ca = key file "The authority of its certificate.";
    insecure_http_directory = key flag "http:// beyond loopback.";
    token = key secret "Authentik: an API token of a service account.";
    token_identifier = key text "Authentik: what that token is called.";
    subject = key (choice [ "uid" "uuid" "pk" "id" ]) "What `sub` of people's sign-ins is.";
    types = key texts "Authentik: types of users who are people.";
    ignore = key texts "Authentik: paths of users who are no people.";
    realm = key text "Keycloak: the realm.";
    client_id = key text "Keycloak: a client with a service account.";
    client_secret = key secret "Keycloak: its secret.";
    page_size = key count "People or groups in one answer.";
    timeout = key duration "How long one question may take.";
    reads = key count "Questions at once.";
    groups_max_age = key duration "How old the known tree of groups may be.";
    expiry_warning = key duration "A token that ends sooner is warned of.";
    hooks = section "Webhooks of Authentik." {
      secrets = key (types.listOf secret) "What they prove themselves by; two while it is changed.";
      secrets_sha256 = key texts "Or its SHA-256.";
      silent_after = key duration "Silence of so long is an alarm.";
    };
    write = section "What may be done there by hand or by a CI job." {
      token = key secret "An API token of a service account of its own.";
      token_identifier = key text "What that token is called.";
      groups = key (types.listOf group) "Groups that people may be put into, each with its id.";
      invitations = section "How people are invited." {
        flow = key text "The slug of the enrolment flow.";
        url = key text "Where people reach the directory.";
        insecure_http_links = key flag "http:// links beyond loopback.";
        lifetime = key duration "How long one is good for unless it is said.";
        longest = key duration "How long one may be good for.";
        reusable = key flag "Whether one may be good for several people.";
      };
    };
    reconcile = section "How often it is read whole, and when what follows waits." {
      every = key duration "How often everything is read and compared, and the apps with it.";
      brake_number = key count "Held when more people would lose access, and more than the share.";
      brake_share = key count "In percent of those who are present.";
      brake_most = key count "Held when more people would lose access, whatever the share.";
    };
  };

  mail = section "The mail server that letters to people go through." {
    server = required text "smtps:// or smtp:// (STARTTLS).";
    insecure_plain_smtp = key flag "Letters and password in the clear.";
    ca = key file "The authority of its certificate.";
    from = required text "Who writes.";
    username = key text "Who sends.";
    password = key secret "Their password.";
    timeout = key duration "How long one letter may take.";
  };

  scim = sections "SCIM clients that provision people and groups." {
    id = required text "Never change it: what the client put here is kept under it.";
    clients = required texts "Which of clients may use it.";
    issuer = key text "Whose subjects its users are.";
    subject = key text "What of a user is the `sub` of assertions.";
    strict = key flag "Whether only what the schemas say is taken.";
    reread = key text "Which of directories is asked again about whomever a change concerns.";
    patch_answer = key (choice [ "resource" "nothing" ]) "What a PATCH is answered with.";
    page = key count "Most resources of a page.";
    body = key size "Longest request body.";
    patch_operations = key count "Most operations of a PATCH.";
    bulk_operations = key count "Most operations of a bulk request.";
    brake_number = key count "More people than this who went at once are a mistake.";
    brake_share = key count "And more of a hundred than this.";
    brake_window = key duration "Within this time.";
  };

  api_issuers = sections "Who signs the tokens that services show." {
    id = required text "What clients call it.";
    issuer = required text "The exact `iss` of its tokens.";
    profile = key (choice [ "access-token" "client-assertion" ]) "Who signs them.";
    typ = key text "The `typ` of its access tokens.";
    jwks = required keySet "Its public keys.";
    algorithms = key texts "Algorithms that are taken.";
    refresh = key duration "How often the keys are read again.";
    cooldown = key duration "At most one question for an unknown key in so long.";
    stale_limit = key duration "How long the last good keys are used.";
    leeway = key duration "How far the clocks may differ.";
    insecure_http_jwks = key flag "http:// addresses for jwks beyond loopback.";
    max_lifetime = key duration "Longest life of a token that is believed.";
    jti_entries = key count "Client assertions that are remembered as used.";
  };

  audiences = sections "Services that tokens are exchanged for." {
    id = required text "The `aud` of its tokens.";
    scopes = key texts "What its tokens may allow.";
    lifetime = key duration "How long a token lives.";
    subject = key (choice [ "shared" "pairwise" ]) "What its tokens call a person.";
    claims = key texts "What else its tokens say about a person.";
    groups = key texts "Groups that its tokens name.";
  };

  clients = sections "Who may call the api listener." {
    id = required text "Never change it: tokens and audit records name it.";
    certificate_names = key texts "DNS or URI names of its certificate.";
    spki_sha256 = key texts "SHA-256 of its public key.";
    bearer = key (types.submodule {
      options = {
        issuer = key text "One of api_issuers.";
        sub = key text "Whose tokens are its own.";
      };
    }) "Whose tokens are its own.";
    static_bearer_sha256 = key texts "SHA-256 of a fixed bearer.";
    scopes = required texts "What it may do.";
    hosts = key texts "Apps' hosts whose visitors' assertions it may pass on.";
    audiences = key texts "Audiences it may exchange tokens for, or ask about the tokens of.";
  };

  apps = sections "Apps behind the bridge." {
    id = required text "Never change it: passwords in the app derive from it.";
    name = key text "What pages call it.";
    kind = required (choice [ "mattermost" ]) "Which kind of app.";
    host = required text "The name visitors use.";
    origin = key text "What the address bar shows before the path.";
    base_path = key text "The path below which the app lives.";
    issuer = key text "Which of issuers.";
    upstream = required text "Where the app is, seen from the bridge.";
    upstream_ca = key file "The authority of an https:// upstream.";
    response_timeout = key duration "How long the app may take to begin an answer.";
    insecure_http_origin = key flag "An http:// origin beyond loopback.";
    access = section "Who may come in; nobody by default." {
      everyone = key flag "Everyone whom the issuer vouches for.";
      any_of = key (types.listOf group) "One of these groups is needed.";
      all_of = key (types.listOf group) "All of these groups are needed.";
      validated = key group "Who lacks this group waits for validation.";
    };
    session = section "Sessions." {
      absolute = key duration "Longest sign-in.";
      overall = key duration "Longest life of a session that is carried over.";
      idle = key duration "A session that brings no request for so long ends.";
      stale_after = key duration "Sockets of a session that brings no request for so long are cut.";
      socket_max_age = key duration "Oldest age of a socket.";
      external_revoke = key (choice [ "sign-out" "heal" ]) "What an app session's early death means.";
      sign_out = key (choice [ "pomerium" "page" ]) "Where the app's own logout ends.";
      tombstone = key duration "How long an ended sign-in is remembered.";
      page_wait = key duration "How long a page waits for a first sign-in.";
      other_wait = key duration "How long other requests wait for it.";
      replay_body = key size "Request bodies that are kept for a repetition.";
    };
    mattermost = section "What only Mattermost has." {
      bot_token = key secret "Token of a bot with the role system_admin.";
      link = key (choice [ "never" "verified-email" "operator" ]) "Whose existing account an e-mail address may claim.";
      team = key text "Team that everyone joins.";
      create_team = key flag "Make the team if there is none.";
      logins = key count "Sign-ins at once.";
      login_timeout = key duration "How long one may take.";
    };
    provision = section "What becomes of accounts and memberships as the directory speaks." {
      when = key (choice [ "on-sign-in" "on-assignment" ]) "When an account is made.";
      withdraw = key flag "Take away what the bridge gave when its group is gone.";
      deactivate = section "Somebody is gone, or may no longer use the app." {
        grace = key duration "From then until the account is deactivated.";
        bots = key (choice [ "disable" "hand-over" "leave" ]) "What becomes of their bots.";
        bots_to = key text "User name in the app of who keeps them.";
        memberships = key flag "Take away what the bridge gave, too.";
        administrators = key flag "Deactivate administrators' accounts like others.";
        delete = key flag "Refused: the bridge deletes no account.";
      };
      seats = section "How many users the app takes." {
        warn_at = key count "Warn when so many percent are taken.";
        reserve = key count "Seats that accounts ahead of a first sign-in leave free.";
        idle_after = key duration "Who was not seen at work for so long is idle.";
        grace = key duration "From reclaiming a seat until the account is deactivated.";
      };
      groups = sections "What being in a directory's group gives." {
        group = key text "The group's name.";
        group_id = key text "Or the directory's own id of it.";
        team = key text "The team.";
        channels = key texts "Channels in it.";
        team_admin = key flag "Whether they administer the team.";
        channel_admin = key flag "Whether they administer the channels.";
        system_role = key text "A role in the whole app.";
      };
    };
    machine_routes = sections "Calls that carry no identity." {
      method = required (choice [ "GET" "HEAD" "POST" "PUT" "PATCH" "DELETE" ]) "The method.";
      path = required text "An exact path, or everything below it with /*.";
      keep_authorization = key flag "Whether the Authorization header passes.";
    };
    services = sections "Services that call it as a bot." {
      client = required text "The id of one of `clients`, with the scope proxy:<app>.";
      bot = key text "A bot that `auth-manager bots add` has taken.";
      bot_token = key secret "Or the token of one of your own.";
      allow = key texts "What it may call: \"POST /api/v4/posts\"; `*` is one segment, `/**` everything below.";
      insecure_allow = key texts "What it may call all the same that gives power over accounts or the server.";
      audit_reads = key flag "Whether the audit trail has its GET and HEAD calls, too.";
    };
  };

  jobs = section "Work that must happen surely." {
    attempts = key count "Attempts that a job has before it is dead.";
    concurrency = key count "Jobs at once, on each replica.";
    lease = key duration "How long a job belongs to a replica that says nothing any more.";
    keep = key duration "How long what is done is remembered.";
    app_rate = key count "Jobs of one app that a replica begins in a second.";
    source_rate = key count "Jobs of one directory that a replica begins in a second.";
  };

  audit = section "Who did what." {
    email = key flag "Name people by e-mail address as well as by id.";
    client_address = key flag "Record where requests came from.";
    replica = key text "What this replica is called in records.";
    checkpoint_records = key count "The end of the trail is signed after so many records.";
    checkpoint_every = key duration "And after so long, when there is a new one.";
    checkpoints = key file "A folder that signed checkpoints are written to as well.";
    keep = key duration "How long records are kept.";
  };

  telemetry = section "Watching it." {
    traces = section "Where traces go; unset: none are made." {
      endpoint = key text "An OTLP/HTTP collector.";
      ca = key file "The authority of that address, when it is not a public one.";
      authorization = key secret "The value of the header Authorization.";
      one_in = key count "One of so many requests is traced.";
      instance = key text "This replica's name among the others.";
      insecure_http_traces = key flag "Plain HTTP to a collector elsewhere.";
    };
  };

  portal = section "What visitors read." {
    organisation = key text "Whose service this is.";
    contact = key text "Whom to ask.";
  };

  limits = section "Limits of the bridge as a whole." {
    head = key size "Longest request head.";
    assertion = key size "Longest assertion.";
    head_timeout = key duration "How long a client may take to send a head.";
    connections = key count "Connections at once.";
    drain = key duration "How long open requests have to end.";
    notice = key duration "How long before that everything is still served, while the health path says 503.";
  };
}
