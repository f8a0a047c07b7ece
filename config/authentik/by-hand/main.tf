# What auth-manager may do in Authentik by hand or by a CI job: the same as blueprint.yaml beside this
# file, which says why each part is as it is. With the provider goauthentik/authentik 2026.2 or later.
# The token is made by hand, so that no state holds it.

terraform {
  required_providers {
    authentik = {
      source  = "goauthentik/authentik"
      version = ">= 2026.2.0"
    }
  }
}

variable "groups" {
  description = "Names of the groups that may be given, as in [directories.write]. They exist already."
  type        = set(string)
  default     = ["validated"]
}

locals {
  # On all objects. Never add_user_to_group: on all objects it makes anybody an administrator.
  everywhere = toset([
    "authentik_core.view_user",
    "authentik_flows.view_flow",
    "authentik_stages_invitation.view_invitation",
    "authentik_stages_invitation.add_invitation",
    "authentik_stages_invitation.delete_invitation",
  ])
  on_groups = {
    for pair in setproduct(var.groups, ["view_group", "add_user_to_group"]) :
    "${pair[0]}/${pair[1]}" => { group = pair[0], permission = "authentik_core.${pair[1]}" }
  }
}

data "authentik_group" "given" {
  for_each = var.groups

  name = each.key
}

resource "authentik_rbac_role" "write" {
  name = "auth-manager-write"
}

resource "authentik_group" "holders" {
  name  = "auth-manager-write"
  roles = [authentik_rbac_role.write.id]
}

resource "authentik_user" "write" {
  username = "auth-manager-write"
  name     = "auth-manager, by hand"
  type     = "service_account"
  path     = "service-accounts"
  groups   = [authentik_group.holders.id]
}

resource "authentik_rbac_permission_role" "everywhere" {
  for_each = local.everywhere

  role       = authentik_rbac_role.write.id
  permission = each.key
}

resource "authentik_rbac_permission_role" "groups" {
  for_each = local.on_groups

  role       = authentik_rbac_role.write.id
  model      = "authentik_core.group"
  object_id  = data.authentik_group.given[each.value.group].id
  permission = each.value.permission
}
