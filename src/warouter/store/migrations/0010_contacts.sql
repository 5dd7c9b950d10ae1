-- runs with: 3
--
-- Numbers that the upstream was asked about, with its last answer (WAROUTER_REQUIRE_CONTACT_CHECK).
-- The version before knows nothing of it.

create table contact (
    wa_id      text primary key collate "C",
    valid      boolean not null,            -- on WhatsApp
    checked_at timestamptz not null default now()
);
