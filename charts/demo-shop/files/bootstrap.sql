-- Run once, right after initdb. The password comes by the environment, so that no process list shows it.
\getenv owner_password SHOP_DATABASE_PASSWORD
SET synchronous_commit TO local;
CREATE ROLE shop LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE DATABASE shop OWNER shop;
