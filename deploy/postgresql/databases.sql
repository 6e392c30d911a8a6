-- Each service's user and database, made where they are missing, and the password that it is told.
\getenv mlflow_password MLFLOW_PASSWORD
\getenv journal_password JOURNAL_PASSWORD
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['mlflow', 'journal']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
SELECT format('CREATE DATABASE %I OWNER %I', name, name) FROM unnest(ARRAY['mlflow', 'journal']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE journal PASSWORD :'journal_password';
