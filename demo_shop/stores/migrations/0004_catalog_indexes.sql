-- Each order in which the catalogue can be browsed, whole or by category, is read off an index.
CREATE INDEX products_by_price ON products (base_price_cents, id);
CREATE INDEX products_by_price_falling ON products (base_price_cents DESC, id);
CREATE INDEX products_by_name ON products (name, id);
CREATE INDEX products_by_category_and_price ON products (category_id, base_price_cents, id);
CREATE INDEX products_by_category_and_price_falling ON products (category_id, base_price_cents DESC, id);
CREATE INDEX products_by_category_and_name ON products (category_id, name, id);

-- Beginnings of words, as somebody types them: unstemmed, since "runn" is no beginning of the stem "run".
CREATE INDEX products_by_beginning ON products USING gin (to_tsvector('simple', name || ' ' || brand));
