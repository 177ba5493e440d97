CREATE TABLE `image_names` (
	`reference` text NOT NULL,
	`platform` text NOT NULL,
	`manifest_digest` text NOT NULL,
	`resolved_digest` text,
	`first_at_ms` integer NOT NULL,
	`last_asked_at_ms` integer NOT NULL,
	PRIMARY KEY(`reference`, `platform`),
	FOREIGN KEY (`manifest_digest`,`platform`) REFERENCES `images`(`manifest_digest`,`platform`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `image_names_manifest_digest` ON `image_names` (`manifest_digest`);--> statement-breakpoint
CREATE INDEX `image_names_resolved_digest` ON `image_names` (`resolved_digest`);--> statement-breakpoint
PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE `__new_images` (
	`manifest_digest` text NOT NULL,
	`platform` text NOT NULL,
	`chain_id` text NOT NULL,
	`layers` text NOT NULL,
	`unpacked_at_ms` integer NOT NULL,
	`last_asked_at_ms` integer NOT NULL,
	`pinned_at_ms` integer,
	PRIMARY KEY(`manifest_digest`, `platform`)
);
--> statement-breakpoint
INSERT INTO `__new_images`("manifest_digest", "platform", "chain_id", "layers", "unpacked_at_ms", "last_asked_at_ms") SELECT "manifest_digest", "platform", "chain_id", "layers", min("unpacked_at_ms"), max("unpacked_at_ms") FROM `images` GROUP BY "manifest_digest", "platform";--> statement-breakpoint
INSERT INTO `image_names`("reference", "platform", "manifest_digest", "first_at_ms", "last_asked_at_ms") SELECT "reference", "platform", "manifest_digest", "unpacked_at_ms", "unpacked_at_ms" FROM `images`;--> statement-breakpoint
DROP TABLE `images`;--> statement-breakpoint
ALTER TABLE `__new_images` RENAME TO `images`;--> statement-breakpoint
PRAGMA foreign_keys=ON;--> statement-breakpoint
CREATE INDEX `images_chain_id` ON `images` (`chain_id`);