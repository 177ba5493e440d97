CREATE TABLE `queue_holds` (
	`queue` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`held_by` text NOT NULL,
	`reason` text NOT NULL,
	`since_ms` integer NOT NULL,
	`hand_over_at_ms` integer,
	CONSTRAINT "queue_holds_queue_known" CHECK("queue_holds"."queue" in ('pool', 'unpack')),
	CONSTRAINT "queue_holds_kind_known" CHECK("queue_holds"."kind" in ('paused', 'drained'))
);
--> statement-breakpoint
CREATE TABLE `removals` (
	`operation_id` text PRIMARY KEY NOT NULL,
	`scope` text,
	`key` text,
	`used_bytes` integer,
	`inherited_bytes` integer DEFAULT 0 NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`last_error` text,
	`failing_since_ms` integer,
	`last_failed_at_ms` integer,
	`next_try_at_ms` integer,
	`given_up_at_ms` integer,
	`discarded_at_ms` integer,
	`discard_reason` text,
	FOREIGN KEY (`operation_id`) REFERENCES `outbox`(`operation_id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "removals_discarded_has_reason" CHECK(("removals"."discarded_at_ms" is null) = ("removals"."discard_reason" is null))
);
--> statement-breakpoint
CREATE INDEX `removals_given_up` ON `removals` (`given_up_at_ms`) WHERE "removals"."given_up_at_ms" is not null;