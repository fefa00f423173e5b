CREATE TABLE "tokens" (
	"id" varchar PRIMARY KEY NOT NULL,
	"createdAt" datetime NOT NULL DEFAULT (datetime('now')),
	"updatedAt" datetime NOT NULL DEFAULT (datetime('now')),
	"tokenHash" varchar(255) NOT NULL,
	"tokenType" varchar(50) NOT NULL,
	"status" varchar CHECK ("status" IN ('ACTIVE', 'REVOKED', 'EXPIRED', 'ROTATED')) NOT NULL DEFAULT ('ACTIVE'),
	"expiresAt" datetime,
	"lastUsedAt" datetime,
	"usageCount" integer NOT NULL DEFAULT (0),
	"rotatedFromTokenId" varchar,
	"rotatedToTokenId" varchar,
	"revokedAt" datetime,
	"revokedReason" varchar(255),
	"revokedById" varchar,
	"metadata" text,
	"version" integer NOT NULL,
	"userId" varchar NOT NULL
);
CREATE UNIQUE INDEX "IDX_tokens_hash" ON "tokens" ("tokenHash");
CREATE INDEX "IDX_tokens_hash_status" ON "tokens" ("tokenHash", "status");
CREATE INDEX "IDX_tokens_user_type_status" ON "tokens" ("userId", "tokenType", "status");
CREATE INDEX "IDX_tokens_expires" ON "tokens" ("expiresAt");
CREATE UNIQUE INDEX "IDX_tokens_rotated_from" ON "tokens" ("rotatedFromTokenId");
