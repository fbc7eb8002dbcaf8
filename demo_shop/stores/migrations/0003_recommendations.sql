-- The past as baskets and the model as rows per product: an array is copied, checked and read in a fraction of the time
-- of a row per pair, and the evaluation needs to know when and by whom a basket was bought.

DROP TABLE order_history;
CREATE TABLE order_history (
    basket_id   int PRIMARY KEY, -- in order of time
    customer_id int NOT NULL,
    placed_on   date NOT NULL,
    product_ids int[] NOT NULL
);

DROP TABLE item_neighbours;
CREATE TABLE item_neighbours (
    product_id    int PRIMARY KEY REFERENCES products,
    neighbour_ids int[] NOT NULL, -- best first
    scores        real[] NOT NULL,
    together      int[] NOT NULL, -- baskets that held both
    CHECK (cardinality(neighbour_ids) = cardinality(scores) AND cardinality(scores) = cardinality(together))
);

-- Which model item_neighbours holds; written with it in one transaction.
CREATE TABLE recommendation_model (
    id         int PRIMARY KEY CHECK (id = 1),
    version    text NOT NULL,
    baskets    int NOT NULL,
    learned_at timestamptz NOT NULL DEFAULT now()
);

-- How the catalogue was seeded, so that its history can be drawn again to match.
CREATE TABLE seeding (
    id          int PRIMARY KEY CHECK (id = 1),
    products    int NOT NULL,
    random_seed int NOT NULL,
    seeded_at   timestamptz NOT NULL DEFAULT now()
);
