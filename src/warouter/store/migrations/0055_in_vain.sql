-- runs with: 11
--
-- What strangers send in vain is no gap in the way of webhooks: a listener says since when it has
-- refused what may be Meta's, and takes it back with the next webhook that is rightly signed.

alter table cloud_path add vain_at timestamptz;
