"""Amazon Bedrock's control plane for batch inference, over a real S3 endpoint."""
