CREATE TABLE `operations` (
	`operation_id` text PRIMARY KEY NOT NULL,
	`is_keyed` integer NOT NULL,
	`token_name` text NOT NULL,
	`operation` text NOT NULL,
	`pool` text,
	`digest` text NOT NULL,
	`recovery` text NOT NULL,
	`started_at_ms` integer NOT NULL,
	`ended_at_ms` integer,
	`bytes` integer NOT NULL,
	`result` text,
	`failure` text
);
--> statement-breakpoint
CREATE INDEX `operations_age` ON `operations` (`is_keyed`,`started_at_ms`);