-- Once, as the user postgres: psql -f create.sql, then \password amity
CREATE ROLE amity LOGIN;
CREATE DATABASE amity OWNER amity ENCODING 'UTF8' TEMPLATE template0;
\connect amity
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO amity;
