//! From a traced request to OTLP: the SDK's batches, sent by our own client, so that nothing but the
//! configuration says where they go and whom we believe there.

use super::{Ended, Parent, Trace, TraceError, TraceOptions};
use async_trait::async_trait;
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanLimits,
};
use secrecy::ExposeSecret as _;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use url::Url;

/// Longest time that a batch may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch is sent.
const EVERY: Duration = Duration::from_secs(5);
/// Spans that wait; more are lost. About 1 KiB each.
const QUEUE: usize = 4096;
const BATCH: usize = 512;

pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Exporter {
    pub(super) fn new(options: TraceOptions) -> Result<Self, TraceError> {
        let refused = |error: &dyn fmt::Display| TraceError::Exporter(error.to_string());
        let runtime = Handle::try_current().map_err(|e| refused(&e))?;
        let endpoint = &options.endpoint;
        let authorization = match &options.authorization {
            Some(secret) => {
                let value = HeaderValue::from_str(secret.expose_secret());
                let mut value = value.map_err(|e| refused(&e))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .with_timeout(PATIENCE)
            .with_http_client(Client {
                runtime,
                endpoint: endpoint.clone(),
                authorization,
                current: Arc::from(options.client),
            })
            .build()
            .map_err(|e| refused(&e))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        // Nothing of the environment: what is said of this replica is said here.
        let resource = Resource::builder_empty()
            .with_service_name("auth-manager")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", options.instance),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .with_span_limits(SpanLimits::default())
            // Which requests are traced was decided before.
            .with_sampler(Sampler::AlwaysOn)
            .build();
        Ok(Self {
            tracer: provider.tracer("auth-manager"),
            provider,
        })
    }

    pub(super) fn record(&self, trace: &Trace, how: &Ended<'_>, ended: SystemTime) {
        let around = trace.parent.map_or_else(Context::new, Parent::context);
        let name = match how.app {
            "" => how.method.to_string(),
            app => format!("{} {app}", how.method),
        };
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_start_time(trace.started)
            .with_attributes([
                KeyValue::new("http.request.method", how.method.to_string()),
                KeyValue::new("url.path", how.path.to_owned()),
                KeyValue::new("http.response.status_code", i64::from(how.status.as_u16())),
                KeyValue::new("auth_manager.app", how.app.to_owned()),
                KeyValue::new("auth_manager.decision", how.code),
                KeyValue::new("auth_manager.request_id", how.request_id.to_owned()),
            ]);
        let mut span = self.tracer.build_with_context(builder, &around);
        if !how.client.is_empty() {
            let client = how.client.to_owned();
            span.set_attribute(KeyValue::new("auth_manager.client", client));
        }
        // A server's span errs when the server did (OpenTelemetry's HTTP conventions).
        if how.status.is_server_error() {
            span.set_status(Status::error(how.code));
        }
        let inside = around.with_remote_span_context(span.span_context().clone());
        let starts = trace.stations.iter().map(|(_, at)| *at);
        let ends = starts.skip(1).chain([ended]);
        for ((station, from), until) in trace.stations.iter().zip(ends) {
            let builder = self
                .tracer
                .span_builder(station.as_str())
                .with_start_time(*from);
            let mut station = self.tracer.build_with_context(builder, &inside);
            station.end_with_timestamp(until);
        }
        span.end_with_timestamp(ended);
    }

    pub(super) fn finish(&self, at_most: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(at_most) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

impl Parent {
    fn context(self) -> Context {
        let remote = SpanContext::new(
            TraceId::from_bytes(self.trace),
            SpanId::from_bytes(self.span),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        Context::new().with_remote_span_context(remote)
    }
}

/// Sends a batch on our own runtime: the SDK's thread has none. Of what the SDK hands over only the
/// body counts: it adds headers that the environment names (`OTEL_EXPORTER_OTLP_HEADERS`), and the
/// environment is not to say anything of where traces go.
struct Client {
    runtime: Handle,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    current: Arc<dyn Fn() -> reqwest::Client + Send + Sync>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut batch = (self.current)()
            .post(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(request.into_body());
        if let Some(authorization) = &self.authorization {
            batch = batch.header(AUTHORIZATION, authorization.clone());
        }
        let sent = self.runtime.spawn(async move {
            let answer = batch.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
