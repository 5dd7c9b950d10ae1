-- runs with: 11
--
-- What retention takes of answers about numbers is found by index.

create index contact_checked on contact (checked_at);
