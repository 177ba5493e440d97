CREATE TABLE `unpacks` (
	`number` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`operation_id` text NOT NULL,
	`reference` text NOT NULL,
	`platform` text NOT NULL,
	`outcome` text NOT NULL,
	`error_code` text,
	`error_message` text,
	`started_at_ms` integer NOT NULL,
	`ended_at_ms` integer NOT NULL,
	`layers` text NOT NULL,
	CONSTRAINT "unpacks_outcome_known" CHECK("unpacks"."outcome" in ('unpacked', 'failed', 'cancelled')),
	CONSTRAINT "unpacks_error_code_known" CHECK("unpacks"."error_code" in ('invalid_argument', 'not_found', 'already_exists', 'failed_precondition', 'resource_exhausted', 'unavailable', 'aborted', 'deadline_exceeded', 'internal')),
	CONSTRAINT "unpacks_failed_has_reason" CHECK("unpacks"."outcome" <> 'failed' or "unpacks"."error_message" is not null)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `unpacks_operation` ON `unpacks` (`operation_id`);