-- The shop's books. Money is in cents of one currency; times are timestamptz.

CREATE TABLE categories (
    id   int PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL
);

CREATE TABLE products (
    id               int PRIMARY KEY,
    sku              text NOT NULL UNIQUE,
    name             text NOT NULL,
    brand            text NOT NULL,
    description      text NOT NULL,
    category_id      int NOT NULL REFERENCES categories,
    base_price_cents int NOT NULL CHECK (base_price_cents > 0),
    popularity       int NOT NULL DEFAULT 0, -- orders in the seeded history
    search           tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', name), 'A') ||
        setweight(to_tsvector('english', brand), 'B') ||
        setweight(to_tsvector('english', description), 'C')
    ) STORED
);
CREATE INDEX products_search ON products USING gin (search);
CREATE INDEX products_by_category ON products (category_id, popularity DESC, id);
CREATE INDEX products_by_popularity ON products (popularity DESC, id);

-- What lies on the shelf. on_hand falls when an order is sold; reserved is the part promised to orders not yet sold.
CREATE TABLE stock (
    product_id int PRIMARY KEY REFERENCES products,
    on_hand    int NOT NULL CHECK (on_hand >= 0),
    reserved   int NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    CONSTRAINT never_oversold CHECK (reserved <= on_hand)
);

-- Every change of on_hand; the sum per product is on_hand. `key` makes each change happen once.
CREATE TABLE stock_movements (
    key        text NOT NULL,
    product_id int NOT NULL REFERENCES products,
    quantity   int NOT NULL, -- positive: delivered; negative: sold
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, product_id)
);
CREATE INDEX stock_movements_by_product ON stock_movements (product_id);

CREATE TABLE reservations (
    order_id   uuid NOT NULL,
    product_id int NOT NULL REFERENCES products,
    quantity   int NOT NULL CHECK (quantity > 0),
    state      text NOT NULL CHECK (state IN ('held', 'sold', 'released')),
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    PRIMARY KEY (order_id, product_id)
);
CREATE INDEX reservations_held ON reservations (created_at) WHERE state = 'held';

CREATE TABLE orders (
    id              uuid PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    request_hash    bytea NOT NULL, -- the same key with another request is a mistake of the client
    customer_id     text NOT NULL,
    payment_token   text NOT NULL, -- of the payment stub; no card data ever comes here
    state           text NOT NULL CHECK (state IN ('pending', 'confirmed', 'rejected')),
    reason          text, -- why it was rejected
    total_cents     int NOT NULL CHECK (total_cents >= 0),
    degraded        boolean NOT NULL DEFAULT false, -- priced from the catalogue since pricing did not answer
    created_at      timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz,
    lease_until     timestamptz, -- who works on a pending order may do so until then
    answered        int NOT NULL DEFAULT 0 -- answers given from the books; see demo_shop/checkout
);
CREATE INDEX orders_pending ON orders (lease_until) WHERE state = 'pending';
CREATE INDEX orders_by_customer ON orders (customer_id, created_at DESC);

CREATE TABLE order_lines (
    order_id         uuid NOT NULL REFERENCES orders,
    product_id       int NOT NULL REFERENCES products,
    quantity         int NOT NULL CHECK (quantity > 0),
    unit_price_cents int NOT NULL CHECK (unit_price_cents > 0),
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE payments (
    order_id     uuid PRIMARY KEY,
    amount_cents int NOT NULL CHECK (amount_cents >= 0),
    state        text NOT NULL CHECK (state IN ('captured', 'declined', 'refunded')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    refunded_at  timestamptz
);

-- Facts that others must learn, written in the transaction that made them true; the relay delivers each at least once.
CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic        text NOT NULL, -- order.confirmed, order.rejected
    key          text NOT NULL, -- the order's id
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;

-- Baskets of the seeded past, which the item-to-item model learns from.
CREATE TABLE order_history (
    basket_id  int NOT NULL,
    product_id int NOT NULL REFERENCES products,
    PRIMARY KEY (basket_id, product_id)
);

CREATE TABLE item_neighbours (
    product_id   int NOT NULL REFERENCES products,
    neighbour_id int NOT NULL REFERENCES products,
    score        real NOT NULL,
    PRIMARY KEY (product_id, neighbour_id)
);

-- One row, written every second on the primary: how old it is on a replica is the replication delay that readers see.
CREATE TABLE replication_heartbeat (
    id       int PRIMARY KEY CHECK (id = 1),
    sequence bigint NOT NULL,
    at       timestamptz NOT NULL
);
INSERT INTO replication_heartbeat VALUES (1, 0, now());
