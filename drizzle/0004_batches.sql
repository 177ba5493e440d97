CREATE TABLE `batch_items` (
	`batch` text NOT NULL,
	`position` integer NOT NULL,
	`reference` text NOT NULL,
	`platform` text NOT NULL,
	`registry` text,
	`state` text NOT NULL,
	`attempts` integer NOT NULL,
	`operation_id` text,
	`error_code` text,
	`error_message` text,
	`stage` text,
	`started_at_ms` integer,
	`ended_at_ms` integer,
	PRIMARY KEY(`batch`, `position`),
	FOREIGN KEY (`batch`) REFERENCES `batches`(`batch`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "batch_items_state_known" CHECK("batch_items"."state" in ('pending', 'running', 'done', 'present', 'failed', 'cancelled')),
	CONSTRAINT "batch_items_stage_known" CHECK("batch_items"."stage" in ('queue', 'resolve', 'fetch', 'prepare', 'unpack', 'commit')),
	CONSTRAINT "batch_items_error_code_known" CHECK("batch_items"."error_code" in ('invalid_argument', 'not_found', 'already_exists', 'failed_precondition', 'resource_exhausted', 'unavailable', 'aborted', 'deadline_exceeded', 'internal')),
	CONSTRAINT "batch_items_ended" CHECK(("batch_items"."state" in ('pending', 'running')) = ("batch_items"."ended_at_ms" is null)),
	CONSTRAINT "batch_items_running_is_in_flight" CHECK("batch_items"."state" <> 'running' or ("batch_items"."operation_id" is not null and "batch_items"."started_at_ms" is not null)),
	CONSTRAINT "batch_items_failed_has_reason" CHECK("batch_items"."state" <> 'failed' or ("batch_items"."error_code" is not null and "batch_items"."error_message" is not null and "batch_items"."stage" is not null))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `batch_items_wanted` ON `batch_items` (`batch`,`reference`,`platform`);--> statement-breakpoint
CREATE UNIQUE INDEX `batch_items_operation` ON `batch_items` (`operation_id`) WHERE "batch_items"."operation_id" is not null;--> statement-breakpoint
CREATE INDEX `batch_items_state` ON `batch_items` (`batch`,`state`,`position`);--> statement-breakpoint
CREATE INDEX `batch_items_in_flight` ON `batch_items` (`batch`) WHERE "batch_items"."ended_at_ms" is null and "batch_items"."operation_id" is not null;--> statement-breakpoint
CREATE INDEX `batch_items_waiting` ON `batch_items` (`batch`,`position`) WHERE "batch_items"."ended_at_ms" is null and "batch_items"."operation_id" is null;--> statement-breakpoint
CREATE TABLE `batches` (
	`batch` text PRIMARY KEY NOT NULL,
	`name` text,
	`priority` integer NOT NULL,
	`parallel` integer NOT NULL,
	`attempts` integer NOT NULL,
	`fail_after_percent` integer,
	`time_limit_ms` integer,
	`created_at_ms` integer NOT NULL,
	`cancelled_at_ms` integer,
	`cancel_reason` text,
	CONSTRAINT "batches_priority" CHECK("batches"."priority" between 1 and 1000),
	CONSTRAINT "batches_parallel" CHECK("batches"."parallel" between 1 and 64),
	CONSTRAINT "batches_attempts" CHECK("batches"."attempts" > 0),
	CONSTRAINT "batches_fail_after" CHECK("batches"."fail_after_percent" between 0 and 100),
	CONSTRAINT "batches_time_limit" CHECK("batches"."time_limit_ms" > 0),
	CONSTRAINT "batches_cancelled_has_reason" CHECK(("batches"."cancelled_at_ms" is null) = ("batches"."cancel_reason" is null))
);
--> statement-breakpoint
CREATE INDEX `batches_created` ON `batches` (`created_at_ms`);