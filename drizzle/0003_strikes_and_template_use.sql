CREATE TABLE `strikes` (
	`operation_id` text PRIMARY KEY NOT NULL,
	`job` text NOT NULL,
	`deaths` integer NOT NULL,
	`last_run` text NOT NULL,
	`last_at_ms` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `devices` ADD `last_used_at_ms` integer;