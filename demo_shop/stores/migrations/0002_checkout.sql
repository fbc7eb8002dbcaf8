-- Orders of the synthetic probe are real orders, left out of business figures wherever they are finished.
ALTER TABLE orders ADD COLUMN synthetic boolean NOT NULL DEFAULT false;
