CREATE TYPE "public"."tokens_status_enum" AS ENUM ('ACTIVE', 'REVOKED', 'EXPIRED', 'ROTATED');
CREATE TABLE "public"."tokens" (
	"id" uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	"createdAt" timestamp NOT NULL DEFAULT now(),
	"updatedAt" timestamp NOT NULL DEFAULT now(),
	"tokenHash" varchar(255) NOT NULL,
	"tokenType" varchar(50) NOT NULL,
	"status" "public"."tokens_status_enum" NOT NULL DEFAULT 'ACTIVE',
	"expiresAt" timestamp,
	"lastUsedAt" timestamp,
	"usageCount" integer NOT NULL DEFAULT 0,
	"rotatedFromTokenId" uuid REFERENCES "public"."tokens" ("id") ON DELETE SET NULL,
	"rotatedToTokenId" uuid REFERENCES "public"."tokens" ("id") ON DELETE SET NULL,
	"revokedAt" timestamp,
	"revokedReason" varchar(255),
	"revokedById" uuid,
	"metadata" jsonb,
	"version" integer NOT NULL,
	"userId" uuid NOT NULL
);
CREATE UNIQUE INDEX "IDX_tokens_hash" ON "public"."tokens" ("tokenHash");
CREATE INDEX "IDX_tokens_hash_status" ON "public"."tokens" ("tokenHash", "status");
CREATE INDEX "IDX_tokens_user_type_status" ON "public"."tokens" ("userId", "tokenType", "status");
CREATE INDEX "IDX_tokens_expires" ON "public"."tokens" ("expiresAt");
CREATE UNIQUE INDEX "IDX_tokens_rotated_from" ON "public"."tokens" ("rotatedFromTokenId");
