//! The attributes that resources have: those of RFC 7643 §4 that make sense here. A password does
//! not: there is none.

use super::{Attribute, Kind, Mutability, Schema};

const PLAIN: Attribute = Attribute {
    name: "",
    description: "",
    kind: Kind::Text,
    multi: false,
    required: false,
    exact: false,
    mutability: Mutability::ReadWrite,
    unique: false,
    canonical: &[],
    references: &[],
    subs: &[],
};

const fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        name,
        description,
        ..PLAIN
    }
}

const fn flag(name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        kind: Kind::Flag,
        ..text(name, description)
    }
}

const fn reference(
    name: &'static str,
    description: &'static str,
    references: &'static [&'static str],
) -> Attribute {
    Attribute {
        kind: Kind::Reference,
        exact: true,
        references,
        ..text(name, description)
    }
}

const fn complex(
    name: &'static str,
    description: &'static str,
    subs: &'static [Attribute],
) -> Attribute {
    Attribute {
        kind: Kind::Complex,
        subs,
        ..text(name, description)
    }
}

const fn several(
    name: &'static str,
    description: &'static str,
    subs: &'static [Attribute],
) -> Attribute {
    Attribute {
        multi: true,
        ..complex(name, description, subs)
    }
}

const fn read_only(attribute: Attribute) -> Attribute {
    Attribute {
        mutability: Mutability::ReadOnly,
        ..attribute
    }
}

const fn immutable(attribute: Attribute) -> Attribute {
    Attribute {
        mutability: Mutability::Immutable,
        ..attribute
    }
}

const fn exact(attribute: Attribute) -> Attribute {
    Attribute {
        exact: true,
        ..attribute
    }
}

const fn required(attribute: Attribute) -> Attribute {
    Attribute {
        required: true,
        ..attribute
    }
}

const fn usually(attribute: Attribute, canonical: &'static [&'static str]) -> Attribute {
    Attribute {
        canonical,
        ..attribute
    }
}

const DISPLAY: Attribute = text("display", "A name of the value, for people.");
const PRIMARY: Attribute = flag(
    "primary",
    "Whether it is the preferred one; one of them is.",
);

/// `value`, `display`, `type` and `primary` of texts.
const TEXTS: &[Attribute] = &[
    text("value", "The value."),
    DISPLAY,
    text("type", "What it is used for."),
    PRIMARY,
];

/// A person (RFC 7643 §4.1).
pub(in crate::api::scim) static USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "A person.",
    attributes: &[
        Attribute {
            unique: true,
            ..required(text(
                "userName",
                "What they are called at sign-in; case does not count.",
            ))
        },
        complex(
            "name",
            "The parts of their name.",
            &[
                text("formatted", "The whole name, as it is shown."),
                text("familyName", "The family name."),
                text("givenName", "The given name."),
                text("middleName", "Names between them."),
                text("honorificPrefix", "What stands before the name."),
                text("honorificSuffix", "What stands behind the name."),
            ],
        ),
        text("displayName", "The name that others see."),
        text("nickName", "What they are called by friends."),
        reference("profileUrl", "A page about them.", &["external"]),
        text("title", "What they are called by office."),
        text("userType", "What kind of user they are."),
        text(
            "preferredLanguage",
            "The language they prefer, as in Accept-Language.",
        ),
        text("locale", "The region they live in, as a BCP 47 tag."),
        text("timezone", "The time zone they live in."),
        flag("active", "Whether they may sign in."),
        several(
            "emails",
            "E-mail addresses.",
            &[
                text("value", "The address."),
                DISPLAY,
                usually(
                    text("type", "What it is used for."),
                    &["work", "home", "other"],
                ),
                PRIMARY,
            ],
        ),
        several(
            "phoneNumbers",
            "Telephone numbers.",
            &[
                text("value", "The number."),
                DISPLAY,
                usually(
                    text("type", "What it is used for."),
                    &["work", "home", "mobile", "fax", "pager", "other"],
                ),
                PRIMARY,
            ],
        ),
        several("ims", "Addresses of instant messengers.", TEXTS),
        several(
            "photos",
            "Pictures of them.",
            &[
                reference("value", "Where the picture is.", &["external"]),
                DISPLAY,
                usually(
                    text("type", "What it is used for."),
                    &["photo", "thumbnail"],
                ),
                PRIMARY,
            ],
        ),
        several(
            "addresses",
            "Postal addresses.",
            &[
                text(
                    "formatted",
                    "The whole address, as it is written on a letter.",
                ),
                text("streetAddress", "Street and number."),
                text("locality", "The town."),
                text("region", "The region."),
                text("postalCode", "The postal code."),
                text("country", "The country, as in ISO 3166-1 alpha 2."),
                usually(
                    text("type", "What it is used for."),
                    &["work", "home", "other"],
                ),
                PRIMARY,
            ],
        ),
        read_only(several(
            "groups",
            "The groups that they are in.",
            &[
                read_only(exact(text("value", "The group's id."))),
                read_only(reference("$ref", "Where the group is.", &["Group"])),
                read_only(text("display", "The group's name.")),
                read_only(usually(
                    text("type", "Whether they are in it themselves."),
                    &["direct"],
                )),
            ],
        )),
        several("entitlements", "What they are entitled to.", TEXTS),
        several("roles", "What they do.", TEXTS),
        several(
            "x509Certificates",
            "Certificates of theirs.",
            &[
                Attribute {
                    kind: Kind::Binary,
                    exact: true,
                    ..text("value", "The certificate, DER in base64.")
                },
                DISPLAY,
                text("type", "What it is used for."),
                PRIMARY,
            ],
        ),
    ],
};

/// What an organisation says of a person (RFC 7643 §4.3).
pub(in crate::api::scim) static ENTERPRISE: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    description: "What an organisation says of a person.",
    attributes: &[
        text("employeeNumber", "Their number."),
        text("costCenter", "Their cost centre."),
        text("organization", "Their organisation."),
        text("division", "Their division."),
        text("department", "Their department."),
        complex(
            "manager",
            "Whom they report to.",
            &[
                exact(text("value", "The manager's id.")),
                reference("$ref", "Where the manager is.", &["User"]),
                text("displayName", "The manager's name."),
            ],
        ),
    ],
};

/// A group (RFC 7643 §4.2).
pub(in crate::api::scim) static GROUP: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group of people and groups.",
    attributes: &[
        Attribute {
            unique: true,
            ..required(text(
                "displayName",
                "The group's name; case does not count.",
            ))
        },
        several(
            "members",
            "Who is in it.",
            &[
                immutable(exact(text("value", "The member's id."))),
                immutable(reference(
                    "$ref",
                    "Where the member is.",
                    &["User", "Group"],
                )),
                immutable(usually(
                    text("type", "What the member is."),
                    &["User", "Group"],
                )),
            ],
        ),
    ],
};
