-- Waybill ledger: views and macros. Written by Waybill; `waybill ledger relink` writes it again after the folder was moved.
-- Days are UTC. "at" is a reserved word in DuckDB 2: write "at" or entries.at.

CREATE VIEW entries AS
SELECT *, make_timestamp(epoch_us("at"))::DATE AS day FROM ($entries);
COMMENT ON VIEW entries IS 'Every entry of the ledger as written, and its UTC day.';

CREATE VIEW decisions AS
SELECT seq, "at", day, run_id, record_id, data_classes, partial, evidence, rule, lanes, cloud_requires, policy_hash, detectors_hash,
       document_hmac, family, reason, detail_code, actor, entry_id
FROM entries WHERE event = 'decided';
COMMENT ON VIEW decisions IS 'Where each record may go, and why. Empty lanes: held. partial: the classes are a lower bound.';

CREATE VIEW assignments AS
SELECT seq, "at", day, run_id, record_id, lane, endpoint, strategy, reason, score, actor, entry_id
FROM entries WHERE event = 'assigned';
COMMENT ON VIEW assignments IS 'The endpoint chosen within a decision. Several may follow one decision; the last one counts.';

CREATE VIEW intents AS
SELECT intent_id, any_value(run_id) AS run_id, any_value(endpoint) AS endpoint, max(attempt) AS attempt,
       any_value(shard_hmac) AS shard_hmac,
       arg_max(event, seq) AS state,
       arg_max(provider_job_id, seq) AS provider_job_id,
       min("at") AS "at", min(seq) AS seq, max(seq) AS last_seq,
       max(seq) FILTER (event = 'submitted') AS submitted_seq,
       count(*) FILTER (event = 'submitting') AS records
FROM entries
WHERE intent_id IS NOT NULL AND event IN ('submitting', 'submitted', 'ambiguous', 'rejected', 'cancelled', 'job_ended')
GROUP BY intent_id;
COMMENT ON VIEW intents IS 'Each attempt to hand a shard over: how far it got, its job at the provider, how many records it carries.';

CREATE VIEW record_states AS
WITH latest AS (
    SELECT run_id, record_id, min(seq) AS first_seq,
           arg_max({event: event, seq: seq, moment: "at", lane: lane, endpoint: endpoint, reason: reason, error_code: error_code}, seq) AS last,
           arg_max({document_hmac: document_hmac, data_classes: data_classes, partial: partial, lanes: lanes, family: family,
                    rule: rule, reason: reason, seq: seq}, seq) FILTER (event = 'decided') AS decided,
           arg_max({lane: lane, endpoint: endpoint}, seq) FILTER (event IN ('assigned', 'cleared', 'submitting')) AS assigned,
           arg_max(lane, seq) FILTER (event IN ('assigned', 'cleared', 'submitting')) AS last_lane,
           arg_max({intent_id: intent_id, attempt: attempt, clearance_id: clearance_id}, seq) FILTER (event = 'submitting') AS handed
    FROM entries
    WHERE run_id IS NOT NULL AND record_id IS NOT NULL
      AND event IN ('decided', 'assigned', 'cleared', 'submitting', 'completed', 'failed', 'held', 'released')
    GROUP BY run_id, record_id
)
SELECT r.run_id, r.record_id,
       CASE WHEN r.last.event = 'submitting' OR (r.last.event = 'held' AND i.submitted_seq > r.last.seq)
            THEN CASE i.state WHEN 'job_ended' THEN 'submitted' ELSE coalesce(i.state, 'submitting') END
            ELSE r.last.event END AS state,
       coalesce(r.last.lane, r.assigned.lane, r.last_lane) AS lane,
       coalesce(r.last.endpoint, r.assigned.endpoint) AS endpoint,
       r.handed.intent_id AS intent_id, r.handed.attempt AS attempt, r.handed.clearance_id AS clearance_id,
       r.decided.document_hmac AS document_hmac, r.decided.data_classes AS data_classes, r.decided.partial AS partial,
       r.decided.lanes AS lanes, r.decided.rule AS rule, r.decided.family AS family,
       coalesce(r.last.reason, CASE r.last.event WHEN 'held' THEN r.decided.reason END) AS reason,
       r.last.error_code AS error_code, r.last.moment AS "at", r.last.seq AS seq, r.first_seq,
       coalesce(r.decided.seq, r.first_seq) AS decided_seq
FROM latest r
LEFT JOIN intents i ON i.intent_id = r.handed.intent_id;
COMMENT ON VIEW record_states IS 'How far each record of each run has come; rejected and cancelled mean that nothing runs for it at a provider.';

-- What was in force at a moment is found with lead() and lag(), not with ASOF JOIN: that one sorts all of the log, and on a million entries takes minutes.

CREATE VIEW clearances AS
WITH spendings AS (
    SELECT c.seq AS clearance_seq, min(s.seq) AS seq, min(s."at") AS "at", arg_min(s.intent_id, s.seq) AS intent_id
    FROM (FROM entries WHERE event = 'submitting') s
    JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, clearance_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'cleared') c
      ON c.run_id = s.run_id AND c.clearance_id = s.clearance_id AND c.seq <= s.seq AND (c.next_seq IS NULL OR c.next_seq > s.seq)
    GROUP BY c.seq
)
SELECT c.seq, c."at", c.day, c.run_id, c.record_id, c.clearance_id, c.lane, c.endpoint, c.payload_hmac, c.payload_bytes, c.attempt,
       s.seq AS spent_seq, s."at" AS spent_at, s.intent_id,
       d.seq IS NOT NULL AND (s.seq IS NULL OR d.seq < s.seq) AS voided
FROM (FROM entries WHERE event = 'cleared') c
LEFT JOIN (SELECT *, lag(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS last_seq FROM entries WHERE event = 'decided') d
  ON d.run_id = c.run_id AND d.record_id = c.record_id AND d.seq >= c.seq AND (d.last_seq IS NULL OR d.last_seq < c.seq)
LEFT JOIN spendings s ON s.clearance_seq = c.seq;
COMMENT ON VIEW clearances IS
'Permissions for one payload to one endpoint, once: spent when, by which hand-over; voided: the record was decided anew before it was spent.';

CREATE VIEW hand_overs AS
SELECT s.seq, s."at", s.day, s.run_id, s.record_id, d.data_classes, d.partial,
       coalesce(s.lane, 'cloud') AS lane, s.endpoint, s.intent_id, s.attempt, s.payload_hmac, s.payload_bytes,
       i.state AS hand_over, i.provider_job_id,
       d.seq AS decision_seq, d."at" AS decided_at, d.rule, d.lanes, d.cloud_requires, d.policy_hash, d.detectors_hash, d.document_hmac,
       a.seq AS assignment_seq, a.endpoint AS assigned_endpoint, a.strategy, a.reason AS assignment_reason,
       s.clearance_id, c.seq AS clearance_seq, c.endpoint AS cleared_endpoint, c.payload_hmac AS cleared_payload_hmac
FROM (FROM entries WHERE event = 'submitting') s
LEFT JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'decided') d
  ON d.run_id = s.run_id AND d.record_id = s.record_id AND d.seq <= s.seq AND (d.next_seq IS NULL OR d.next_seq > s.seq)
LEFT JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'assigned') a
  ON a.run_id = s.run_id AND a.record_id = s.record_id AND a.seq <= s.seq AND (a.next_seq IS NULL OR a.next_seq > s.seq)
LEFT JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, record_id, clearance_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'cleared') c
  ON c.run_id = s.run_id AND c.record_id = s.record_id AND c.clearance_id = s.clearance_id
     AND c.seq <= s.seq AND (c.next_seq IS NULL OR c.next_seq > s.seq)
LEFT JOIN intents i ON i.intent_id = s.intent_id;
COMMENT ON VIEW hand_overs IS 'Every record handed to any endpoint, local ones too, with the decision, assignment and clearance in force at that moment.';

CREATE VIEW egress AS
SELECT * FROM hand_overs WHERE lane <> 'local';
COMMENT ON VIEW egress IS 'Every record handed to a cloud endpoint, ambiguous and rejected hand-overs included. A lane nobody stated counts as cloud.';

CREATE VIEW outcomes AS
SELECT o.seq, o."at", o.day, o.run_id, o.record_id, o.event AS outcome, o.lane, o.endpoint, o.intent_id, o.model, o.revision,
       o.weights_digest, o.lora_digest, o.tokens_in, o.tokens_out, o.cost_usd, o.finish_reason, o.error_code, o.confidence,
       CASE WHEN p."at" IS NULL THEN o.result_file END AS result_file, CASE WHEN p."at" IS NULL THEN o.result_row END AS result_row,
       o.result_digest, p."at" AS purged_at, o.entry_id
FROM (FROM entries WHERE event IN ('completed', 'failed')) o
LEFT JOIN (SELECT result_file, record_id, min("at") AS "at" FROM entries WHERE event = 'purged' GROUP BY ALL) p
       ON p.result_file = o.result_file AND p.record_id = o.record_id;
COMMENT ON VIEW outcomes IS 'What came back: one row per completed or failed record; a result that retention deleted says when, and has no file.';

CREATE VIEW runs AS
SELECT run_id, arg_max(job, seq) AS job, arg_max(logical_date, seq) AS logical_date,
       min("at") FILTER (event = 'run_started') AS started_at,
       arg_max(CASE event WHEN 'run_ended' THEN {moment: "at"} ELSE {moment: NULL} END, seq).moment AS ended_at,
       coalesce(arg_max(event, seq) = 'run_ended' AND arg_max(coalesce(detail_code, ''), seq) <> 'pending', false) AS finished,
       arg_max(detail_code, seq) FILTER (event = 'run_ended') AS ended_as,
       count(*) FILTER (event = 'run_started') AS starts,
       arg_max(template_hash, seq) AS template_hash, arg_max(policy_hash, seq) AS policy_hash, arg_max(detectors_hash, seq) AS detectors_hash,
       (arg_max({it: cost_centre}, seq) FILTER (event = 'run_started')).it AS cost_centre, min(seq) AS seq
FROM entries WHERE event IN ('run_started', 'run_ended') GROUP BY run_id;
COMMENT ON VIEW runs IS 'Each run (job and logical date). finished: its last start has ended and owes no result.';

CREATE VIEW held AS
WITH latest AS (
    SELECT t.*, t.decided_seq = max(t.decided_seq) OVER (PARTITION BY coalesce(r.job, t.run_id), t.record_id) AS newest
    FROM record_states t LEFT JOIN runs r ON r.run_id = t.run_id
)
SELECT h.seq, h."at", h.day, h.run_id, h.record_id, coalesce(h.reason, d.reason) AS reason, h.detail_code, h.endpoint,
       d.data_classes, d.partial, d.rule, r."at" AS released_at,
       coalesce(t.newest AND t.state = 'held' AND t.seq = h.seq, false) AS still_held
FROM (FROM entries WHERE event = 'held') h
LEFT JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'decided') d
  ON d.run_id = h.run_id AND d.record_id = h.record_id AND d.seq <= h.seq AND (d.next_seq IS NULL OR d.next_seq > h.seq)
LEFT JOIN (SELECT *, lag(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS last_seq FROM entries WHERE event = 'released') r
  ON r.run_id = h.run_id AND r.record_id = h.record_id AND r.seq >= h.seq AND (r.last_seq IS NULL OR r.last_seq < h.seq)
LEFT JOIN latest t ON t.run_id = h.run_id AND t.record_id = h.record_id
UNION ALL
SELECT i.last_seq, e."at", e.day, t.run_id, t.record_id, 'ambiguous_hand_over', e.detail_code, t.endpoint,
       t.data_classes, t.partial, t.rule, NULL, t.newest
FROM latest t JOIN intents i ON i.intent_id = t.intent_id JOIN entries e ON e.seq = i.last_seq
WHERE t.state = 'ambiguous';
COMMENT ON VIEW held IS
'Every time a record was held, and whether it still is, as of the run of its job that read it last; records of an ambiguous hand-over are held too.';

CREATE VIEW overrides AS
SELECT seq, "at", day, run_id, record_id, actor, reason, before, after, expiry, detail_code, data_classes[1] AS data_class,
       state AS override_id, document_hmac, approval
FROM entries WHERE event = 'overridden';
COMMENT ON VIEW overrides IS 'Where a person changed what the policy said: who, why, from what to what, until when.';

CREATE VIEW costs AS
SELECT o.day, o.run_id, o.lane, o.endpoint, o.model, count(*) AS records, sum(o.tokens_in)::BIGINT AS tokens_in,
       sum(o.tokens_out)::BIGINT AS tokens_out, sum(o.cost_usd) AS cost_usd, sum(s.reserved_usd) AS reserved_usd,
       count(*) FILTER (o.cost_usd IS NULL AND s.reserved_usd IS NOT NULL) AS unpriced
FROM (SELECT DISTINCT ON (entry_id) * FROM outcomes ORDER BY entry_id, seq) o
LEFT JOIN (SELECT intent_id, record_id, max(cost_usd) AS reserved_usd FROM entries WHERE event = 'submitting' GROUP BY ALL) s
       ON s.intent_id = o.intent_id AND s.record_id = o.record_id
GROUP BY ALL;
COMMENT ON VIEW costs IS 'Tokens and US dollars per day, run, endpoint and model: settled, and reserved before; an outcome stated twice counts once.';

CREATE VIEW policies AS
SELECT policy_hash, arg_min(policy_text, seq) AS policy_text, min("at") AS registered_at, arg_min(actor, seq) AS actor, min(seq) AS seq
FROM entries WHERE event = 'policy_registered' GROUP BY policy_hash;
COMMENT ON VIEW policies IS 'The text of every policy that ever decided, by hash.';

CREATE VIEW detectors AS
SELECT detectors_hash, min("at") AS first_used, max("at") AS last_used, count(*) AS decisions, count(DISTINCT run_id) AS runs
FROM entries WHERE event = 'decided' GROUP BY detectors_hash;
COMMENT ON VIEW detectors IS 'Every detector set that ever scanned, by hash, and when.';

CREATE VIEW class_destination_daily AS
WITH moves AS (
    SELECT s.day, d.data_classes, d.partial, CASE s.event WHEN 'held' THEN 'held' ELSE coalesce(s.lane, 'cloud') END AS lane,
           CASE s.event WHEN 'submitting' THEN s.endpoint END AS endpoint, s.record_id,
           CASE s.event WHEN 'submitting' THEN s.payload_bytes ELSE 0 END AS payload_bytes
    FROM (FROM entries WHERE event IN ('submitting', 'held')) s
    LEFT JOIN (SELECT *, lead(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS next_seq FROM entries WHERE event = 'decided') d
      ON d.run_id = s.run_id AND d.record_id = s.record_id AND d.seq <= s.seq AND (d.next_seq IS NULL OR d.next_seq > s.seq)
)
SELECT day, data_class, partial, lane, endpoint, count(DISTINCT record_id) AS records, sum(payload_bytes)::BIGINT AS bytes
FROM (SELECT *, unnest(CASE WHEN len(data_classes) > 0 THEN data_classes ELSE ['(none)'] END) AS data_class FROM moves)
GROUP BY ALL;
COMMENT ON VIEW class_destination_daily IS 'How many records of each class went where on each UTC day; a record counts once in each of its classes.';

CREATE VIEW judgements AS
SELECT seq, "at", day, run_id, record_id, data_classes, detail_code, lane, endpoint, intent_id, attempt, model, revision, weights_digest,
       lora_digest, document_hmac, reason
FROM entries WHERE event = 'judged';
COMMENT ON VIEW judgements IS 'Second looks: what a model inside said a record is, before the cloud was assigned. Its word only ever adds classes.';

CREATE VIEW rescans AS
SELECT seq, "at", day, run_id, record_id, data_classes, partial, evidence, before, after, reason, intent_id, policy_hash, detectors_hash,
       detail_code, actor
FROM entries WHERE event = 'rescanned';
COMMENT ON VIEW rescans IS 'Results that were scanned as documents are, and were found to be more than their input.';

CREATE VIEW lookbacks AS
SELECT seq, "at", day, run_id, record_id, data_classes, partial, rule, lanes, policy_hash, detectors_hash, endpoint, reason, before, after,
       detail_code, actor
FROM entries WHERE event = 'lookback';
COMMENT ON VIEW lookbacks IS 'Records that had been sent and were judged again later, with the detectors and the policy of that later day.';

CREATE VIEW reviews AS
SELECT seq, "at", day, run_id, record_id, actor, reason, before, after, detail_code
FROM entries WHERE event = 'reviewed';
COMMENT ON VIEW reviews IS 'What people said of records that they read again.';

CREATE VIEW quarantines AS
SELECT seq, "at", day, run_id, record_id, endpoint, intent_id, detail_code, actor
FROM entries WHERE event = 'quarantined';
COMMENT ON VIEW quarantines IS 'Where the gate stopped a shard, or an answer was not one that was asked for: the code says which.';

CREATE VIEW deletions AS
SELECT seq, "at", day, run_id, endpoint, intent_id, provider_job_id, state, detail_code, actor
FROM entries WHERE event = 'deleted_remote';
COMMENT ON VIEW deletions IS 'What was deleted at a provider after a hand-over had ended.';

CREATE VIEW erasures AS
SELECT seq, "at", day, run_id, record_id, event AS erasure, result_file, intent_id, reason, detail_code, state, actor
FROM entries WHERE event IN ('purged', 'forgotten');
COMMENT ON VIEW erasures IS 'What was deleted here: results and spool files by retention (purged), the names of records on request (forgotten).';

CREATE VIEW checkpoints AS
WITH notes AS (SELECT DISTINCT note, string_split(note, chr(10)) AS lines FROM ($notes))
SELECT n.lines[4][9:]::BIGINT AS segment, n.lines[2]::BIGINT AS tree_size, n.lines[3] AS root, e."at", e.day, n.note AS checkpoint
FROM notes n LEFT JOIN entries e ON e.seq = n.lines[2]::BIGINT;
COMMENT ON VIEW checkpoints IS 'The signed checkpoint of every commit, whole, as a C2SP note. A view checks no signature.';

CREATE VIEW sources AS
SELECT record_id, source, source_id, family, title
FROM $sources
QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY filename DESC, file_row_number DESC) = 1;
COMMENT ON VIEW sources IS 'What a record is called outside. Erasable, and no part of the sealed log.';

CREATE MACRO document_history(record_id) AS TABLE
WITH own AS MATERIALIZED (FROM entries e WHERE e.record_id = record_id)
SELECT * FROM (
    FROM own
    UNION ALL
    SELECT e.* FROM (FROM entries i WHERE i.record_id IS NULL) e SEMI JOIN (FROM own WHERE event = 'submitting') o ON o.intent_id = e.intent_id
) ORDER BY seq;
COMMENT ON MACRO TABLE document_history IS
'Every entry about a record, and about the hand-overs it was part of, in order; columns as in entries.';
