CREATE TABLE orders (
  number   INTEGER PRIMARY KEY,
  customer TEXT    NOT NULL,
  cents    INTEGER NOT NULL
);
