# Authentik tells auth-manager when people and groups change: the same as blueprint.yaml beside this
# file, which says why each part is as it is. With the provider goauthentik/authentik 2026.2 or later.
# Terraform keeps the secret in its state: guard that as you guard the secret.

terraform {
  required_providers {
    authentik = {
      source  = "goauthentik/authentik"
      version = ">= 2026.2.0"
    }
  }
}

variable "hooks_url" {
  description = "Where auth-manager's api listener is reached by Authentik's worker."
  type        = string
  default     = "https://auth-manager.internal:8444/hooks/authentik"
}

variable "hooks_secret" {
  description = "The secret that [directories.hooks] of auth-manager names: openssl rand -hex 32."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{32,512}$", var.hooks_secret))
    error_message = "32 characters at least, of A-Z a-z 0-9 - _: it becomes part of an expression."
  }
}

locals {
  # One policy each. `app` is never set: with it a matcher never matches.
  events = {
    user-created  = { order = 0, action = "model_created", model = "authentik_core.user" }
    user-updated  = { order = 1, action = "model_updated", model = "authentik_core.user" }
    user-deleted  = { order = 2, action = "model_deleted", model = "authentik_core.user" }
    group-created = { order = 3, action = "model_created", model = "authentik_core.group" }
    group-updated = { order = 4, action = "model_updated", model = "authentik_core.group" }
    group-deleted = { order = 5, action = "model_deleted", model = "authentik_core.group" }
    login         = { order = 6, action = "login", model = null }
    user-write    = { order = 7, action = "user_write", model = null }
  }
}

resource "authentik_group" "recipients" {
  name = "auth-manager-webhook-recipients"
}

resource "authentik_user" "recipient" {
  username = "auth-manager-webhook-recipient"
  name     = "recipient of auth-manager's webhook"
  type     = "service_account"
  path     = "service-accounts"
  groups   = [authentik_group.recipients.id]
}

resource "authentik_property_mapping_notification" "headers" {
  name       = "auth-manager-headers"
  expression = "return {\"Authorization\": \"Bearer ${var.hooks_secret}\"}"
}

resource "authentik_property_mapping_notification" "body" {
  name       = "auth-manager-body"
  expression = <<-EOT
    e = notification.event
    if e is None:
        return {"v": 1, "action": None}
    m = e.context.get("model") or {}
    person = None
    if not m and e.action in ("login", "user_write"):
        person = (e.user or {}).get("pk")
    return {
        "v": 1,
        "event_id": str(e.event_uuid),
        "action": e.action,
        "created": e.created.isoformat(),
        "model": None if not m else {
            "pk": m.get("pk"),
            "app": m.get("app"),
            "model_name": m.get("model_name"),
        },
        "user": None if not person else {"pk": person},
    }
  EOT
}

resource "authentik_event_transport" "webhook" {
  name                    = "auth-manager-webhook"
  mode                    = "webhook"
  webhook_url             = var.hooks_url
  webhook_mapping_headers = authentik_property_mapping_notification.headers.id
  webhook_mapping_body    = authentik_property_mapping_notification.body.id
  send_once               = true
}

resource "authentik_event_rule" "changes" {
  name              = "auth-manager-changes"
  severity          = "notice"
  destination_group = authentik_group.recipients.id
  transports        = [authentik_event_transport.webhook.id]
}

resource "authentik_policy_event_matcher" "events" {
  for_each = local.events

  name   = "auth-manager-${each.key}"
  action = each.value.action
  model  = each.value.model
}

resource "authentik_policy_binding" "events" {
  for_each = local.events

  target = authentik_event_rule.changes.id
  policy = authentik_policy_event_matcher.events[each.key].id
  order  = each.value.order
}
