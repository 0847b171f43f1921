-- Gives positions to what is promised and committed.
CREATE OR REPLACE FUNCTION {schema}.settle(clock timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE {definer}
AS $$
BEGIN
    PERFORM {schema}.take_turn(clock);
    PERFORM {schema}.ring();
END
$$;
